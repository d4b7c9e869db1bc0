"""Does a plugin keep the contract: the checks, what is checked, and a new plugin to start from."""
