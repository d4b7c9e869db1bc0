"""Laws of loss against parameters and data, and what follows from them for two architectures."""
