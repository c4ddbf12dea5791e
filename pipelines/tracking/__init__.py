"""Tracking that can wait: a journal in the run directory first, MLflow when it answers."""
