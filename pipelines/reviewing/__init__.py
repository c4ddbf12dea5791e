"""What `skyreel review` is made of: finding runs in MLflow, tables of them, runs side by side."""
