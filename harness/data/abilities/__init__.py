"""Synthetic tasks of the field to their published specifications, each text made alone from a seed and its index."""
