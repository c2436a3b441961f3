"""Training data: from the archive's examples to sequences, batches and point-in-time features."""
