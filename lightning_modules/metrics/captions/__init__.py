"""Scores of sentences against what people said: pure functions on numpy, torchmetrics classes over them."""
