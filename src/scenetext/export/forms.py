"""What differs between the files for scenetext itself and for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scenetext.detectors.dbnet.config import BinarizationSettings
from scenetext.errors import ConfigError
from scenetext.runs.exported import OWN_FORM
from scenetext.runs.settings import Run


@dataclass(frozen=True)
class Form:
    """Input and output of an exported network.

    Attributes:
        name: of the program.
        mean, std: how the program normalises channels in [0, 1]; None = as the encoder's input.
        order: of the channels.
        probability: whether the one output is the probability map (B, 1, H, W) in [0, 1] instead of maps of logits.
        fixed_size: whether the file is for one image of one size, its probability map then (H, W).
    """

    name: str
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    order: str = "RGB"
    probability: bool = False
    fixed_size: bool = False


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        form.name: form
        for form in (
            Form(OWN_FORM),
            # cv2.dnn: what setInputParams(scale=1 / 255, swapRB=True) makes. TextDetectionModel_DB looks for contours
            # in the output as it is, and OpenCV's importer wants sizes as numbers.
            Form("opencv", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), probability=True, fixed_size=True),
            # RapidOCR 3: OpenCV's order of channels, normalised by its defaults (Det.mean and Det.std of its config).
            Form("rapidocr", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), order="BGR", probability=True),
        )
    }
)
"""By the name of `scenetext export --for`."""


def check_form(form: Form, run: Run) -> None:
    """Refuses a form that a detector cannot have.

    Raises:
        ConfigError: other programs decode one probability map, which only DBNet and DBNet++ are decoded from.
    """
    detector = getattr(run, "detector", None)
    if form.probability and not isinstance(detector, BinarizationSettings):
        name = getattr(detector, "name", "this model")
        raise ConfigError(f"--for {form.name}: it decodes a probability map as DBNet's; {name} has others")
