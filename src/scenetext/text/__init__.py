"""Characters and words: what a model may read, and how it is turned to ids."""
