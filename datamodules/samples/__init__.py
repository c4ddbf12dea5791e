"""Small data sets with a known answer, made in seconds, so that everything runs with no download."""
