"""GGUF files: read, written, and weight matrices in other codes."""
