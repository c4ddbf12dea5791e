"""Who says what about which clip: one module a file format, all of them read into the same `Corpus`."""
