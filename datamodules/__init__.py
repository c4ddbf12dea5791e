"""Files -> batches. Knows nothing of models."""
