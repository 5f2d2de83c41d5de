"""What a reader does with what it cannot use, or not use as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scenetext.errors import DataError

Frame = Literal["auto", "stored", "upright"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices; the defaults are those for published datasets, whose values depend on every image.

    Attributes:
        without_labels: images in the folders of labelled ones that no annotation belongs to: dropped and counted, kept
            as images without text, or an error.
        unreadable: images that are missing or cannot be read, and such whose annotations are for another frame. Where
            images and ground truths of a published dataset are pairs of files, they are an error in any case.
        broken: images whose annotation cannot be parsed.
        frame: what annotations are drawn on: the stored pixels, the upright image (EXIF orientation applied), or
            whichever the declared size and the polygons tell.
        maximum_skipped_share: of the images, that may be unreadable or broken; more are an error.

    Raises:
        DataError: the share is none.
    """

    without_labels: Literal["skip", "keep", "stop"] = "skip"
    unreadable: Literal["skip", "stop"] = "skip"
    broken: Literal["skip", "stop"] = "stop"
    frame: Frame = "stored"
    maximum_skipped_share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.maximum_skipped_share <= 1:
            raise DataError(f"the maximum skipped share is from 0 to 1, got {self.maximum_skipped_share}")


PUBLISHED = Policy()
OWN = Policy(broken="skip", frame="auto", maximum_skipped_share=0.5)
"""For data of one's own: what cannot be used is left out and counted, up to half of the images."""
