"""scenetext: scene-text detectors that learn from language (oCLIP pre-training, CLIP-guided detectors)."""

__version__ = "0.1.0"
