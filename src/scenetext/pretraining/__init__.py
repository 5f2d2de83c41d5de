"""Pre-training methods, one paper a folder."""
