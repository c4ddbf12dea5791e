"""What to run: one folder a group, one YAML file a choice."""
