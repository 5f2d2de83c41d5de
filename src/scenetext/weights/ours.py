"""Names in our own checkpoints: a pre-training calls its model `network`, a detector its image encoder `encoder`."""

from __future__ import annotations

PRETRAINING = "network."
"""In front of every name of an oCLIP model that we trained."""
PRETRAINED_ENCODER = "network.visual."
"""In front of the names of its image encoder."""
DETECTOR_ENCODER = "encoder."
"""In front of the names of a detector's encoder."""
