"""Text and where it comes from: corpora, known-entropy sources, tokenizers, batches."""
