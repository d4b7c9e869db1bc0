"""Rows as tables: what stands in which place, and how a terminal shows it."""
