"""TextBPN in its authors' checkpoints: names, and settings in which the defaults differ from what these compute."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scenetext.detectors.textbpn.config import STEPS

AUTHORS = "TextBPN's authors"
_NECK_AND_MAPS = {
    "neck.first": "fpn.deconv5",
    "neck.enlarge_stem": "fpn.backbone.up2",
    **{
        f"neck.blocks.{index}.{own}": f"fpn.merge{4 - index}.{published}"
        for index in range(4)
        for own, published in (("reduce", "conv1x1"), ("smooth", "conv3x3"), ("enlarge", "deconv"))
    },
    "predict": "seg_head",
}
_STEP = {
    "norm": "bn0",
    "sequence": "rnn",
    **{f"graph.{index}": f"gconv{index + 1}" for index in range(4)},
    "alone": "conv1",
    "predict": "prediction",
}


def head_names(step: Mapping[str, str]) -> Mapping[str, str]:
    """Prefixes of all names of a head, given those of one refinement: scenetext's to the authors'."""
    steps = {
        f"later.boundary.steps.{number}.{own}": f"BPN.evolve_gcn{number}.{published}"
        for number in range(STEPS)
        for own, published in step.items()
    }
    return MappingProxyType({**_NECK_AND_MAPS, **steps})


NAMES = head_names(_STEP)
"""Prefixes of parameter names of the head, scenetext's to the authors'."""
SETTINGS = ("detector.decoding.distance_reference=largest",)
"""What their models were tested with."""
