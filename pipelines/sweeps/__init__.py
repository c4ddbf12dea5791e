"""What `skyreel sweep` is made of: a space, a plan, trials as processes, and who chooses what is tried."""
