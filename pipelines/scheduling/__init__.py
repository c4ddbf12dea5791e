"""When retraining jobs are due, and the loop that starts them then."""
