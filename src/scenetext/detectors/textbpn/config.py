"""Settings of TextBPN; defaults are the published ones but where a comment says otherwise."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scenetext.config import Settings

POINTS = 20
"""Points of every boundary; N in section 3.2."""
STEPS = 3
"""Times that a boundary is refined, each by a network of its own; section 3.4."""


class BoundaryLossWeights(Settings):
    """Weight of every loss term of the published training of TextBPN, which leaves out those that have 0."""

    text: float = Field(default=1.0, ge=0)
    """Cross-entropy of the text region."""
    distance: float = Field(default=3.0, ge=0)
    """Squared error of the distance map."""
    direction: float = Field(default=0.0, ge=0)
    """Squared error of the direction map, whose true vectors have unit length."""
    angle: float = Field(default=0.0, ge=0)
    """One minus the cosine between true and predicted direction, inside text."""
    points: float = Field(default=0.05, ge=0)
    """Distance of the refined points from the true ones, in pixels. The published weight grows over the training from
    0.027 to this."""
    energy: float = Field(default=0.0, ge=0)
    """What the true distance map is at the points: 0 on the border of a text."""


class BoundaryDecoding(Settings):
    """How maps become proposals, and refined boundaries polygons."""

    distance_threshold: float = Field(default=0.3, gt=0, lt=1)
    """Map pixels with a larger distance belong to a proposal."""
    distance_reference: Literal["absolute", "largest"] = "absolute"
    """What the threshold is compared with: the map itself, or the map divided by its largest value in the image. The
    second is published for TextBPN; without text it turns noise into proposals, which the text map alone holds off."""
    fill_holes: bool = True
    """Whether what a proposal encloses belongs to it."""
    text_threshold: float = Field(default=0.8, ge=0, le=1)
    """Proposals whose mean probability of text, the score, is lower are dropped."""
    minimum_area: float = Field(default=150.0, ge=0)
    """Smaller proposals are dropped; square pixels of the input image."""
    maximum_proposals: int = Field(default=1000, ge=1)
    """Proposals of one image, the largest; an image has some ten. The published decoding has no limit, without which
    the maps of an untrained head may fill the memory."""
    polygon_shape: Literal["quad", "polygon"] = "polygon"
    """The boundary itself (Total-Text, CTW1500), or the rectangle of least area around it (ICDAR 2015, MSRA-TD500)."""
    minimum_side: float = Field(default=5.0, ge=0)
    """Rectangles whose shorter side is not longer are dropped; pixels of the input image."""


class BoundarySettings(Settings):
    """What TextBPN and TextBPN++ share; defaults are TextBPN's."""

    name: str
    """Chooses the detector."""

    stride: Literal[1, 2, 4] = 1
    """Input pixels per map pixel; published: 1, and 4 with TextBPN++ on ResNet-18."""

    vertex_tolerance: float = Field(default=0.0017, ge=0, lt=1)
    """Vertices without which the area of a polygon changes by a smaller share are dropped first, as long as more than
    four remain; 0 = none."""
    least_extent: float = Field(default=4.0, ge=0)
    """Text whose pixels all lie closer to its border is ignored; pixels."""
    least_area: float = Field(default=0.0, ge=0)
    """Text of fewer pixels is ignored."""
    distance_margin: float = Field(default=1e-9, gt=0)
    """Added to what distances and lengths of directions are divided by, pixels."""
    simplification: float = Field(default=0.007, ge=0, lt=1)
    """Outlines are simplified by this share of their length before points are set on them."""
    proposal_threshold: float = Field(default=0.4, gt=0, lt=1)
    """The proposal that a text is learnt from is where the true distance map is larger."""
    jitter: float = Field(default=0.32, ge=0)
    """Range in which a coordinate of such a proposal is moved at random, as a share of the largest distance of a pixel
    of the text from its border."""

    text_loss: Literal["balanced", "plain"] = "balanced"
    """Cross-entropy over text and the hardest background, or over all pixels."""
    negative_ratio: float = Field(default=3.0, gt=0)
    """Hardest background pixels that count in the balanced text loss and in the distance loss, per pixel of text."""
    negatives_without_text: int = Field(default=100, ge=0)
    """The same where there is no text."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Of the layers that predict how far points are moved."""
    loss_weights: BoundaryLossWeights = BoundaryLossWeights()
    """Weight of every loss term."""

    decoding: BoundaryDecoding = BoundaryDecoding()
    """How maps become polygons."""


class TextBPNSettings(BoundarySettings):
    """TextBPN: adaptive boundary proposal network (ICCV 2021)."""

    name: Literal["textbpn"] = "textbpn"
    """Chooses this detector."""
