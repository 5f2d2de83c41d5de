"""A page about one or several runs: curves, scores, settings, and a gallery of images with hits and misses."""
