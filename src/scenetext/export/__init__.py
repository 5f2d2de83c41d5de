"""Trained detectors as ONNX files: written, compared with PyTorch, quantised, and in forms that other programs load."""
