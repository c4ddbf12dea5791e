"""The verbs: prepare, train, evaluate, predict, and what they share."""
