"""Entry points for torch.hub: trained detectors, and encoders for other projects.

    import torch
    detector = torch.hub.load("REPOSITORY", "detector", "best.pt", source="local")
    encoder = torch.hub.load("REPOSITORY", "encoder", "clip_resnet", weights="oclip_rn50.pt", source="local")

REPOSITORY is a checkout (with `source="local"`) or OWNER/NAME on GitHub.
"""

from __future__ import annotations

import pathlib
import sys
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "src"))  # its own code, whatever else is installed

if typing.TYPE_CHECKING:
    from scenetext.contracts import Encoder
    from scenetext.inference import TextDetector

dependencies = [
    "torch",
    "torchvision",
    "numpy",
    "cv2",
    "pydantic",
    "yaml",
    "shapely",
    "pyclipper",
    "PIL",
    "safetensors",
]


def detector(*arguments: typing.Any, **keywords: typing.Any) -> TextDetector:
    """A trained detector: an image (file or array) to detections; arguments as `TextDetector.load` takes them."""
    from scenetext.inference import TextDetector

    return TextDetector.load(*arguments, **keywords)


def encoder(name: str, **settings: typing.Any) -> Encoder:
    """An image encoder, (B, 3, H, W) to feature levels of four strides, with the weights that its settings name.

    Args:
        name: as `encoder.name` in a config: clip_resnet, resnet, timm, tcm, attached_tcm.
        settings: those of this encoder, as `weights="oclip_rn50.pt"`; without `weights` it is random.

    Raises:
        ConfigError: there is no such encoder, or a setting is wrong.
        CheckpointError: the weights cannot be read or do not fit.
    """
    from scenetext.config import validate
    from scenetext.runs.encoders import build_encoder, find_encoder

    made = build_encoder(validate(find_encoder(name).settings, {"name": name, **settings}, "torch.hub.load"))
    for line in made.load_weights():
        print(line)  # noqa: T201 (what fitted, as at the start of a run)
    return made


def encoders() -> tuple[str, ...]:
    """The names that `encoder` knows."""
    from scenetext.runs.encoders import encoder_names

    return encoder_names()
