"""Settings of DRRG; defaults are the published ones, but where the published code errs (see `as_published`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scenetext.config import Settings


class DRRGLossWeights(Settings):
    """Weight of every loss term; all the same in the published training."""

    text: float = Field(default=1.0, ge=0)
    """Cross-entropy of the text region."""
    centre: float = Field(default=1.0, ge=0)
    """Cross-entropy of the centre region."""
    height: float = Field(default=1.0, ge=0)
    """Distance of the heights above and below, relative to the true ones."""
    sin: float = Field(default=1.0, ge=0)
    """Smooth L1 distance of the sine of the upward direction."""
    cos: float = Field(default=1.0, ge=0)
    """Smooth L1 distance of the cosine of the upward direction."""
    links: float = Field(default=1.0, ge=0)
    """Cross-entropy of the links between components."""


class DRRGComponents(Settings):
    """The boxes that texts are made of, and the graphs over them."""

    least_width: float = Field(default=8.0, gt=0)
    """Of a component, along the text, pixels."""
    largest_width: float = Field(default=24.0, gt=0)
    """Of a component, along the text, pixels."""
    width_share: float = Field(default=0.3, gt=0)
    """Width of a component in training, as a share of its height."""
    overlap_threshold: float = Field(default=0.25, ge=0, le=1)
    """Candidates in training with an IoU above this are merged or dropped."""
    jitter: float = Field(default=0.2, ge=0)
    """Size of the random changes of components in training, as a share of their own size."""
    maximum: int = Field(default=600, ge=2)
    """Components of an image in training; published without a limit at test."""
    neighbours: tuple[int, int] = (8, 4)
    """Nearest components of a pivot, and of each of these, that are nodes of its graph."""
    linked: int = Field(default=3, ge=1)
    """Nearest components of a node that it is adjacent to."""
    same_graph_threshold: float = Field(default=0.7, ge=0, le=1)
    """In training, a pivot is left out where an earlier graph of its text has nodes with an IoU above this."""


class DRRGDecoding(Settings):
    """How maps become components, and linked components polygons."""

    text_threshold: float = Field(default=0.3, gt=0, lt=1)
    """A pixel may belong to a centre region where the probability of text is above this."""
    centre_threshold: float = Field(default=0.4, gt=0, lt=1)
    """The same for the probability of the centre region."""
    minimum_area: int = Field(default=50, ge=0)
    """Centre regions of no more pixels are dropped."""
    score_threshold: float = Field(default=0.3, gt=0, lt=1)
    """Pixels of a centre region become components where the probability of text is above this."""
    maximum_candidates: int = Field(default=300_000, ge=1)
    """Pixels of an image that become components, the most certain ones; an image has some thousand. None published."""
    maximum_components: int = Field(default=3000, ge=2)
    """Components of an image that are left after suppression, the best ones; no limit published."""
    height_growth: float = Field(default=1.03, gt=0)
    """Factor on the predicted heights of components."""
    width_share: float = Field(default=0.4, gt=0)
    """Width of a component, as a share of its height."""
    overlap_threshold: float = Field(default=0.3, ge=0, le=1)
    """Components with an IoU above this are merged or dropped."""
    least_text_share: float = Field(default=0.5, ge=0, le=1)
    """Regions are dropped less of whose components' area than this is text."""
    link_threshold: float = Field(default=0.8, gt=0, lt=1)
    """Components are joined where the probability of a link is at least this."""
    longest_link: float = Field(default=50.0, gt=0)
    """Components further apart are not joined, pixels."""
    polygon_shape: Literal["quad", "polygon"] = "quad"
    """Rectangle of least area around a text, or its outline (published, on all datasets)."""


class DRRGSettings(Settings):
    """DRRG: Deep Relational Reasoning Graph Network for Arbitrary Shape Text Detection (CVPR 2020)."""

    name: Literal["drrg"] = "drrg"
    """Chooses this detector."""

    width: int = Field(default=32, ge=1)
    """Channels of the feature at the size of the image."""
    as_published: bool = False
    """Repeats what the published code errs in, which published weights have learnt from: features of slanted text are
    pooled along its mirror image; the geometry of a component is embedded by its place in the list; the ends of texts
    are shortened by their diagonal in place of their height."""

    centre_shrink: float = Field(default=0.3, gt=0, le=1)
    """Height of the centre region, as a share of the height of the text."""
    centre_step: float = Field(default=8.0, gt=0)
    """Distance between the points of a centre line, pixels; its ends are shortened by whole steps."""
    components: DRRGComponents = DRRGComponents()
    """The boxes that texts are made of, and the graphs over them."""

    negative_ratio: float = Field(default=3.0, gt=0)
    """Hardest negatives that count in the text loss, per positive pixel of the batch."""
    negatives_without_text: int = Field(default=100, ge=0)
    """Negatives that count in the text loss of a batch that has no positive pixel."""
    loss_weights: DRRGLossWeights = DRRGLossWeights()
    """Weight of every loss term."""

    decoding: DRRGDecoding = DRRGDecoding()
    """How maps become components, and linked components polygons."""
