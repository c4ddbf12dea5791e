"""CNNs that read one frame or map at a time."""
