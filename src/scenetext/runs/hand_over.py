"""Checkpoints of methods that pre-train a whole detector, as those of that detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scenetext.data.loading.settings import DataSettings
from scenetext.pretraining import find_method
from scenetext.runs.settings import DEFAULT_METHOD, DetectionRun


def as_detector(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a checkpoint as a detector's training would have written it; that of other methods as it is."""
    if content.get("kind") != "pretraining":
        return dict(content)
    spec = find_method(content["config"].get("method", {}).get("name", DEFAULT_METHOD))
    if spec.detector_weights is None:
        return dict(content)
    config = {key: value for key, value in content["config"].items() if key in DetectionRun.model_fields}
    data = {key: value for key, value in config["data"].items() if key in DataSettings.model_fields}
    config |= {"kind": "detection", "data": data}
    return {**content, "kind": "detection", "config": config, "model": dict(spec.detector_weights(content["model"]))}
