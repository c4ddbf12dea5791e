"""Clips: annotations, decoding, frame choice, features, vocabulary, batches."""
