"""The model plugins that come with the harness, installed as harness.plugins."""

if __name__ != "harness.plugins":
    raise ImportError(f"import harness.plugins in place of {__name__}: by two names each module would be loaded twice")
