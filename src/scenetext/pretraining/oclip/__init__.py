"""oCLIP (Xue et al., ECCV 2022): images and the words in them, no boxes, to an image encoder that knows text."""
