"""Pages that explain runs and decisions: one file each, complete in itself."""
