"""Polygons as plain arrays: measures, validity, overlap, offsets."""
