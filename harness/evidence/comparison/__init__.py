"""Two results side by side: what is paired with what, how far apart they are, a verdict for each metric."""
