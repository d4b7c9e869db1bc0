"""The commands of `harness`, one file each, and what they print while they run."""
