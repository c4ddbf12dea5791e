"""Batches -> predictions. Knows nothing of files."""
