"""The version of the package, in this one place. (no torch)"""

__version__ = "0.1.0"
