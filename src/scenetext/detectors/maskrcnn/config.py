"""Settings of Mask R-CNN; defaults are MMOCR's, but for what it learns from ignored text and makes of holes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from scenetext.config import Settings

STRIDES = (4, 8, 16, 32, 64)
"""Input pixels per pixel of the levels that anchors stand on; regions are looked up on all but the last."""
BOX_CELLS, MASK_CELLS, MASK_SIZE = 7, 14, 28
"""Cells of a side that boxes and masks are made from, and pixels of a side of a mask."""
ANCHOR_DEVIATIONS = (1.0, 1.0, 1.0, 1.0)
BOX_DEVIATIONS = (0.1, 0.1, 0.2, 0.2)
"""What offsets are divided by, so that those of boxes have a deviation of about 1."""

Share = Annotated[float, Field(gt=0, le=1)]


class MaskRCNNLossWeights(Settings):
    """Weight of every loss term; all the same in the published training."""

    anchor_text: float = Field(default=1.0, ge=0)
    """Cross-entropy of the anchors: text or background."""
    anchor_offset: float = Field(default=1.0, ge=0)
    """L1 distance of the offsets from anchors to boxes of text."""
    box_text: float = Field(default=1.0, ge=0)
    """Cross-entropy of the proposals: text or background."""
    box_offset: float = Field(default=1.0, ge=0)
    """L1 distance of the offsets from proposals to boxes of text."""
    mask: float = Field(default=1.0, ge=0)
    """Cross-entropy of the pixels of masks."""


class AnchorSettings(Settings):
    """The boxes of fixed shapes around every map pixel, which the region proposal network sorts and moves."""

    scale: float = Field(default=4.0, gt=0)
    """Root of an anchor's area, in pixels of its map."""
    ratios: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(0.17, 0.44, 1.13, 2.90, 7.46), min_length=1)
    """Height divided by width, one anchor each."""
    positive_iou: Share = 0.7
    """Anchors are text from this IoU with its box on."""
    negative_iou: Share = 0.3
    """Below it they are background; what is in between is not learnt from."""
    least_best_iou: Share = 0.3
    """The anchor with the greatest IoU with a text is text, too, if that is at least this."""
    samples: PositiveInt = 256
    """Anchors of an image that are learnt from, drawn at random."""
    positive_share: Share = 0.5
    """Most of these that are text."""

    @model_validator(mode="after")
    def _thresholds_are_ordered(self) -> AnchorSettings:
        if self.negative_iou > self.positive_iou:
            raise ValueError(f"negative_iou ({self.negative_iou}) is above positive_iou ({self.positive_iou})")
        return self


class ProposalSettings(Settings):
    """Which moved anchors the box head looks at."""

    per_level: PositiveInt = 1000
    """The best of every level; in training twice as many."""
    overlap_threshold: Share = 0.7
    """Of those with a greater IoU the best stays."""
    count: PositiveInt = 1000
    """The best of an image."""


class BoxSettings(Settings):
    """Which proposals the box head and the mask head learn from."""

    positive_iou: Share = 0.5
    """Proposals are text from this IoU with its box on, and background below."""
    samples: PositiveInt = 512
    """Proposals of an image that are learnt from, drawn at random; boxes of texts are among the proposals."""
    positive_share: Share = 0.25
    """Most of these that are text; masks are learnt from them."""


class MaskRCNNDecoding(Settings):
    """How maps become polygons."""

    score_threshold: float = Field(default=0.05, ge=0, lt=1)
    """Boxes with a greater probability of text are candidates."""
    overlap_threshold: Share = 0.5
    """Of candidates with a greater IoU the best stays."""
    maximum_texts: PositiveInt = 100
    """The best of an image."""
    mask_threshold: float = Field(default=0.5, gt=0, lt=1)
    """Least probability of a pixel of text."""
    contours: Literal["largest", "all"] = "largest"
    """Of a mask in several pieces the largest (the others are counted and reported), or, as published, each of them and
    each hole as a text of its own."""
    polygon_shape: Literal["quad", "polygon"] = "polygon"
    """Rectangle of least area, or the contour itself (published for all datasets, ICDAR 2015 too)."""


class MaskRCNNSettings(Settings):
    """Mask R-CNN (ICCV 2017) with a feature pyramid, for texts as one class."""

    name: Literal["maskrcnn"] = "maskrcnn"
    """Chooses this detector."""

    pyramid_channels: PositiveInt = 256
    """Channels of every level of the feature pyramid and of the region proposal network."""
    box_channels: PositiveInt = 1024
    """Width of the two layers of the box head."""
    mask_channels: PositiveInt = 256
    """Channels of the convolutions of the mask head."""

    anchors: AnchorSettings = AnchorSettings()
    """Boxes of fixed shapes."""
    proposals: ProposalSettings = ProposalSettings()
    """Which moved anchors are looked at."""
    boxes: BoxSettings = BoxSettings()
    """Which proposals are learnt from."""
    ignored_text: Literal["excluded", "background"] = "excluded"
    """What anchors and proposals are that lie in ignored text by more than half: not learnt from, or, as published,
    background as any other place."""
    loss_weights: MaskRCNNLossWeights = MaskRCNNLossWeights()
    """Weight of every loss term."""

    decoding: MaskRCNNDecoding = MaskRCNNDecoding()
    """How maps become polygons."""
