"""Retraining: one shot from new data to a promoted, refused or unneeded challenger."""
