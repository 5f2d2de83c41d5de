"""The rules by which detections are counted: what a rule can say, and the rules that have a name.

Values are comparable only where their rules are equal. Papers and published scripts that use the named ones:
docs/evaluation.md. A rule is a value: a new one is an entry of `PROTOCOLS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from scenetext.config import Settings
from scenetext.errors import ConfigError, did_you_mean

Matching = Literal["greedy", "maximum", "highest", "argmax", "cover", "any"]
_MATCHINGS: dict[Matching, str] = {
    "greedy": "greedy one-to-one matching",
    "maximum": "maximum one-to-one matching",
    "highest": "one-to-one matching by falling IoU",
    "argmax": "every detection, best score first, may only match the ground truth it overlaps most, each once",
    "cover": "every detection takes all free ground truths it fits, and counts once for precision and for recall",
    "any": "every ground truth that any detection fits is found, and is what precision counts, too",
}
Reading = Literal["end_to_end", "word_spotting", "exact"]

_READINGS: dict[Reading, str] = {
    "end_to_end": "texts equal but for case and one punctuation mark at either end of the truth",
    "word_spotting": "words of three letters or more, equal but for case and punctuation around the true ones",
    "exact": "texts equal but for case, character width and blanks",
}
_IGNORED = {
    "counted": "ignored ground truth counts like any other",
    "free": "ignored ground truth counts only where it is found",
}
_INVALID = {
    "repair": "self-crossing polygons repaired",
    "published": "self-crossing polygons as published",
    "skip": "self-crossing detections excluded, self-crossing ground truth never found",
}
_SHAPES = {
    "polygon": [],
    "box": ["axis-parallel bounding boxes"],
    "rectangle": ["minimum rectangles, turned to the horizontal about their own centres"],
}


class Protocol(Settings):
    """What all rules have in common. All of them count over all images together (micro average)."""

    name: str
    """Printed beside every number."""
    shape: Literal["polygon", "box", "rectangle"] = "polygon"
    """What is compared: polygons as they are; their axis-parallel bounding boxes; or their minimum rectangles, each
    turned to the horizontal about its own centre (Yao et al., Detecting texts of arbitrary orientations, section 4)."""
    ignored: Literal["neutral", "counted", "free"] = "neutral"
    """Ground truth that is flagged as ignored. `neutral`: it cannot be found, and detections that lie in it are
    excluded, neither right nor wrong; `counted`: the flag means nothing; `free`: it counts where it is found, and only
    there."""
    ignore_threshold: float = Field(default=0.5, ge=0, le=1)
    """A detection is excluded where more than this share of ITS area lies in any one `neutral` region."""
    invalid: Literal["repair", "published", "skip"] = "repair"
    """Polygons that cross themselves. `repair`: their largest valid part counts. `published`: as MMOCR 1.x, a
    zero-width buffer for overlaps, but the unrepaired area in the ignore rule, so that a bow-tie (area 0) is excluded
    as soon as it touches an ignored region. `skip`: detections that cross themselves or have no area are excluded,
    ground truth of that kind counts and is never found."""
    missing_images: Literal["counted", "left_out"] = "counted"
    """Images for which a file of predictions has no result at all: all their text is missed, or they are no part of
    the set (scripts that go through the submitted files)."""

    def rule(self) -> str:
        """The rule in a line, to be printed beside every number."""
        parts = [*_SHAPES[self.shape], *self._criteria()]
        if self.ignored == "neutral":
            parts.append(
                f"detections with more than {self.ignore_threshold:g} of their area in an ignored region excluded"
            )
        else:
            parts.append(_IGNORED[self.ignored])
        parts.append(_INVALID[self.invalid])
        if self.missing_images == "left_out":
            parts.append("images without any result excluded")
        return ", ".join(parts)

    def _criteria(self) -> list[str]:
        raise NotImplementedError("every kind of rule says by what it matches")


class IouProtocol(Protocol):
    """A rule by intersection over union (IoU)."""

    iou_threshold: float = Field(default=0.5, gt=0, le=1)
    """A detection and a ground truth may match from this IoU on."""
    strict: bool = True
    """Whether the IoU must exceed the threshold (ICDAR 2015), or may equal it."""
    largest_angle: float | None = Field(default=None, gt=0, le=90)
    """Degrees between the long sides of two rectangles from which on they cannot match; None: any."""
    matching: Matching = "greedy"
    """Which of the candidates match. `greedy`: ground truth by ground truth in file order, the first free
    detection (ICDAR 2015's script); `maximum`: as many pairs as possible, in any order; `highest`: pairs of the
    highest IoU first; `argmax`: as in PASCAL VOC, detection by detection, the best score first, each with the ground
    truth that it overlaps most, or nothing where another has that already; `cover`: detection by detection in file
    order, each with all free ground truths it fits, counted once; `any`: not one-to-one."""

    def _criteria(self) -> list[str]:
        angle = [] if self.largest_angle is None else [f"angle < {self.largest_angle:g} degrees"]
        return [f"IoU {'>' if self.strict else '>='} {self.iou_threshold:g}", *angle, _MATCHINGS[self.matching]]


class DetEvalProtocol(Protocol):
    """A rule that allows for a text found in pieces, and for several texts found as one.

    Wolf and Jolion, Object count / area graphs for the evaluation of object detection and segmentation algorithms
    (2006). Recall of a pair is the share of the ground truth's area that is covered, precision the share of the
    detection's. Pairs first, then ground truths in pieces (splits), then detections of several ground truths (merges).
    """

    recall_threshold: float = Field(gt=0, le=1)
    """t_r: least share of a ground truth that has to be covered."""
    precision_threshold: float = Field(gt=0, le=1)
    """t_p: least share of a detection that has to lie in a ground truth."""
    split_score: float = Field(default=0.8, ge=0, le=1)
    """What a ground truth in pieces counts, and what each of its pieces does."""
    merge_score: float = Field(default=0.8, ge=0, le=1)
    """What a detection of several ground truths counts, and what each of them does."""
    smallest_group: int = Field(default=2, ge=1)
    """How many others a text must overlap at all before splits and merges are looked for. From 2 on, a group in which
    only one fits counts as a pair; with 1 it counts as a group (ICDAR 2013)."""
    pair_check: Literal["both", "ground_truth"] = "both"
    """When a pair is one-to-one. `both`: it fits by both shares, and no other pair of its detection or ground truth
    does. `ground_truth`: only the ground truth is looked at, where one detection covers enough and one, perhaps
    another, is precise enough (Total-Text's script)."""
    merge_recall_threshold: float | None = Field(default=None, gt=0, le=1)
    """Share of a ground truth that has to be covered to take part in a merge, if not `recall_threshold`."""
    centre_distance: float | None = Field(default=None, gt=0)
    """Distance between the centres of a pair's bounding boxes, over the mean of their diagonals, from which on it is
    no pair."""

    def _criteria(self) -> list[str]:
        parts = [
            f"DetEval with area recall {self.recall_threshold:g}, area precision {self.precision_threshold:g}",
            f"split {self.split_score:g}, merge {self.merge_score:g}",
        ]
        if self.smallest_group > 1:
            parts.append(f"groups from {self.smallest_group} overlaps on")
        if self.centre_distance is not None:
            parts.append(f"centre distance < {self.centre_distance:g}")
        if self.pair_check == "ground_truth":
            parts.append("pairs checked for the ground truth only")
        if self.merge_recall_threshold is not None:
            parts.append(f"recall {self.merge_recall_threshold:g} suffices in merges")
        return parts


class SpottingProtocol(IouProtocol):
    """A rule for detection and reading together: what matches by position must also read the same.

    Positions are matched first, by the same rule as in detection, so a detection with the wrong text takes its ground
    truth away from another. Ground truth without a transcription cannot be read, and is ignored.
    """

    reading: Reading = "end_to_end"
    """`end_to_end`: texts are equal but for case and one punctuation mark at either end of the truth; `word_spotting`:
    only words of three or more letters count, punctuation around them apart, and other ground truth is ignored (both
    ICDAR 2015); `exact`: equal but for case, character width and blanks (LSVT, ArT)."""

    def _criteria(self) -> list[str]:
        return [*super()._criteria(), _READINGS[self.reading]]


_ICDAR = (
    IouProtocol(name="ic15"),
    IouProtocol(name="ic15_db", invalid="skip"),
    IouProtocol(name="mmocr", invalid="published"),
    IouProtocol(name="mmocr_maximum", invalid="published", matching="maximum"),
    DetEvalProtocol(
        name="ic13_deteval",
        shape="box",
        recall_threshold=0.8,
        precision_threshold=0.4,
        ignore_threshold=0.4,
        split_score=0.8,
        merge_score=1.0,
        smallest_group=1,
        centre_distance=1.0,
    ),
    IouProtocol(name="mlt17"),
    IouProtocol(name="art", matching="highest"),
    IouProtocol(name="art_iou0.7", matching="highest", iou_threshold=0.7),
    IouProtocol(name="lsvt", matching="highest"),
    IouProtocol(name="lsvt_iou0.7", matching="highest", iou_threshold=0.7),
)
_CURVED = (
    IouProtocol(name="totaltext_iou"),
    DetEvalProtocol(name="totaltext_deteval", recall_threshold=0.7, precision_threshold=0.6),
    DetEvalProtocol(
        name="totaltext_deteval_psenet",
        recall_threshold=0.7,
        precision_threshold=0.6,
        merge_recall_threshold=0.6,
        pair_check="ground_truth",
        missing_images="left_out",
    ),
    DetEvalProtocol(
        name="totaltext_deteval_textbpn",
        recall_threshold=0.8,
        precision_threshold=0.4,
        merge_recall_threshold=0.4,
        pair_check="ground_truth",
        missing_images="left_out",
    ),
    IouProtocol(name="ctw_psenet", strict=False, matching="cover", ignored="counted", missing_images="left_out"),
    IouProtocol(name="ctw_voc", matching="argmax", ignored="counted", invalid="skip"),
)
_LINES = (
    IouProtocol(name="td500", shape="rectangle", largest_angle=22.5, ignored="free"),
    IouProtocol(name="td500_psenet", strict=False, matching="any", ignored="free", missing_images="left_out"),
)
_READING = (
    SpottingProtocol(name="ic15_end_to_end"),
    SpottingProtocol(name="ic15_word_spotting", reading="word_spotting"),
    SpottingProtocol(name="art_end_to_end", matching="highest", reading="exact"),
    SpottingProtocol(name="lsvt_end_to_end", matching="highest", reading="exact"),
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {protocol.name: protocol for protocol in (*_ICDAR, *_CURVED, *_LINES, *_READING)}
)
"""`ic15` is ICDAR 2015 Robust Reading, challenge 4, task 1 (script.py of the organisers)."""


def find_protocol(name: str) -> Protocol:
    """The rule of that name.

    Raises:
        ConfigError: no such rule; the message suggests the nearest and lists all.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    raise ConfigError(
        f"evaluation protocol {name!r} is unknown{did_you_mean(name, PROTOCOLS)} "
        f"Known protocols: {', '.join(PROTOCOLS)}"
    )
