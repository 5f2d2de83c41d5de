"""Samples to network inputs: one warp, crops, colours; training and evaluation views."""
