"""Runs as registered models: packed as MLflow's pyfunc, kept in its registry, fetched, loaded, served."""
