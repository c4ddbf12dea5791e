"""Streaming scores, as torchmetrics classes."""
