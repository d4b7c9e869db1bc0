"""The audit: does a model see what it must not see, and is it one function however it is called."""
