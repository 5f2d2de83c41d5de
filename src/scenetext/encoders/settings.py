"""What the settings of all encoders have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from scenetext.config import Settings

Statistic = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]


class EncoderSettings(Settings):
    """How pixels are normalised; weights are only right with the statistics that they were trained with."""

    pixel_mean: tuple[Statistic, Statistic, Statistic] | None = None
    """RGB mean of the input, pixels in [0, 1]; None = the encoder's own. MMOCR fine-tunes CLIP's weights with
    ImageNet's, (0.485, 0.456, 0.406)."""
    pixel_std: tuple[Deviation, Deviation, Deviation] | None = None
    """RGB standard deviation of the input, pixels in [0, 1]; None = the encoder's own. ImageNet's is (0.229, 0.224,
    0.225)."""
