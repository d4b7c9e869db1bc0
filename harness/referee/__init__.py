"""The referee: a score comes from a model that cannot reach the text, the loss, the clock or the store."""
