"""Claims: what a source says, how it is measured, what the measurement says of it."""
