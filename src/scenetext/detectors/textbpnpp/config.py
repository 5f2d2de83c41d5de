"""Settings of TextBPN++; defaults are the published ones but where a comment says otherwise."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scenetext.detectors.textbpn.config import BoundaryDecoding, BoundaryLossWeights, BoundarySettings


class TextBPNPPLossWeights(BoundaryLossWeights):
    """Weight of every loss term of the published training of TextBPN++."""

    direction: float = Field(default=0.5, ge=0)
    """Squared error of the direction map, whose true vectors have unit length."""
    angle: float = Field(default=0.5, ge=0)
    """One minus the cosine between true and predicted direction, inside text."""
    energy: float = Field(default=0.05, ge=0)
    """What the true distance map is at the points: 0 on the border of a text. The published weight grows as that of
    `points`."""


class TextBPNPPDecoding(BoundaryDecoding):
    """How maps become proposals, and refined boundaries polygons; TextBPN++ on ResNet-50."""

    distance_threshold: float = Field(default=0.325, gt=0, lt=1)
    """Map pixels with a larger distance belong to a proposal."""
    fill_holes: bool = False
    """Whether what a proposal encloses belongs to it."""
    text_threshold: float = Field(default=0.85, ge=0, le=1)
    """Proposals whose mean probability of text, the score, is lower are dropped."""
    minimum_area: float = Field(default=50.0, ge=0)
    """Smaller proposals are dropped; square pixels of the input image."""


class TextBPNPPSettings(BoundarySettings):
    """TextBPN++: arbitrary shape text detection via boundary transformer (TMM 2023)."""

    name: Literal["textbpnpp"] = "textbpnpp"
    """Chooses this detector."""

    attention: Literal["points", "proposals"] = "points"
    """What a point of a boundary attends to: the other points of its boundary, as the paper says; or, as the published
    code does and its weights need, the points of the same number of all other boundaries of the batch."""

    vertex_tolerance: float = Field(default=0.0, ge=0, lt=1)
    """Vertices without which the area of a polygon changes by a smaller share are dropped first, as long as more than
    four remain; 0 = none."""
    least_area: float = Field(default=150.0, ge=0)
    """Text of fewer pixels is ignored."""
    distance_margin: float = Field(default=1e-3, gt=0)
    """Added to what distances and lengths of directions are divided by, pixels."""
    simplification: float = Field(default=0.004, ge=0, lt=1)
    """Outlines are simplified by this share of their length before points are set on them."""
    proposal_threshold: float = Field(default=0.35, gt=0, lt=1)
    """The proposal that a text is learnt from is where the true distance map is larger."""
    jitter: float = Field(default=0.2275, ge=0)
    """Range in which a coordinate of such a proposal is moved at random, as a share of the largest distance of a pixel
    of the text from its border."""

    text_loss: Literal["balanced", "plain"] = "plain"
    """Cross-entropy over text and the hardest background, or over all pixels; because of the first, its authors say,
    results could not be reproduced."""
    loss_weights: TextBPNPPLossWeights = TextBPNPPLossWeights()
    """Weight of every loss term."""

    decoding: TextBPNPPDecoding = TextBPNPPDecoding()
    """How maps become polygons."""
