"""Files with the features of sentences, in place of a text encoder: safetensors with these names."""

from __future__ import annotations

FEATURES = "text_features"
"""Tensor (K, C) float32, a row for each sentence."""
SENTENCES = "sentences"
"""Metadata: the K sentences, as a JSON list."""
