"""The weather side of every verb: stores, scores, maps and forecast files."""
