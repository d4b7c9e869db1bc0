"""Bridges: trained weights and results in the forms that the field's own tools read."""
