"""Gridded maps: source files -> packed store -> windows -> batches."""
