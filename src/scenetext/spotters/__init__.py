"""Spotters: what reads as well as detects. Each folder is one method, on any detector or encoder."""
