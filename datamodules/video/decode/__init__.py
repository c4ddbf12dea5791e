"""Clips and pictures on disk -> chosen frames, upright, of one size."""
