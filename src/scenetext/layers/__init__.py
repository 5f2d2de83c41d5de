"""Network blocks and pixel losses that several methods share."""
