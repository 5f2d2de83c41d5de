"""What a rule by which detections are counted can say. The rules that have a name: `named_rules.py`.

A rule is a value: what differs between published scripts is a field of its settings, and the text printed beside the
numbers is generated from them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scenetext.config import Settings

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
    "absent": "ignored ground truth taken out, detections there are false",
}
Flag = Literal["record", "orientation", "text"]
_FLAGS: dict[Flag, list[str]] = {
    "record": [],
    "orientation": ["ignored by orientation"],
    "text": ["ignored by text"],
}
Invalid = Literal["repair", "even_odd", "zero_width", "mmocr", "drop", "drop_detections"]
_INVALID: dict[Invalid, str] = {
    "repair": "self-crossing polygons repaired",
    "even_odd": "self-crossing polygons by the even-odd rule",
    "zero_width": "self-crossing polygons by a zero-width buffer",
    "mmocr": "self-crossing polygons as MMOCR",
    "drop": "self-crossing polygons excluded",
    "drop_detections": "self-crossing detections excluded, self-crossing ground truth never found",
}
Shape = Literal["polygon", "box", "pixel_box", "rectangle", "upright_rectangle"]
_SHAPES: dict[Shape, list[str]] = {
    "polygon": [],
    "box": ["axis-parallel bounding boxes"],
    "pixel_box": ["axis-parallel bounding boxes of whole pixels, both ends counted"],
    "rectangle": ["minimum rectangles, turned to the horizontal about their own centres"],
    "upright_rectangle": [
        "minimum rectangles of whole pixels, turned about their own centres by at most 45 degrees to the axes"
    ],
}
PairCheck = Literal["alone", "untouched", "by_shares", "by_shares_both"]
_PAIR_CHECKS: dict[PairCheck, list[str]] = {
    "alone": [],
    "untouched": ["pairs that overlap nothing else"],
    "by_shares": ["pairs checked for the ground truth only"],
    "by_shares_both": ["pairs checked share by share"],
}


class Protocol(Settings):
    """What all rules have in common. All of them count over all images together (micro average)."""

    name: str
    """Printed beside every number."""
    used_by: str = ""
    """Whose numbers it stands for: papers and scripts."""
    note: str = ""
    """What a reader of older numbers has to know, such as another meaning that the name had."""
    shape: Shape = "polygon"
    """What is compared. `polygon`: polygons as they are. `box`: their axis-parallel bounding boxes. `pixel_box`: these
    in whole pixels, where the right and the bottom one belong to the box (width = right - left + 1). `rectangle`: their
    minimum rectangles, each turned about its own centre until its long side is horizontal (Yao et al., Detecting texts
    of arbitrary orientations, section 4). `upright_rectangle`: their minimum rectangles, each turned about its own
    centre by -45 (not included) to 45 degrees until its sides are parallel to the axes, sides in whole pixels."""
    heeds: Flag = "record"
    """By which of a dataset's flags ground truth is ignored, where it has two that disagree (Total-Text: `#` as
    orientation, `#` as text). `record`: by the one that was chosen when the records were made."""
    ignored: Literal["neutral", "counted", "free", "absent"] = "neutral"
    """Ground truth that is flagged as ignored. `neutral`: it cannot be found, and detections that lie in it are
    excluded, neither right nor wrong; `counted`: the flag means nothing; `free`: it counts where it is found, and only
    there; `absent`: it is taken out before, so that detections in it are wrong."""
    ignore_threshold: float = Field(default=0.5, ge=0, le=1)
    """A detection is excluded where more than this share of ITS area lies in any one `neutral` region."""
    ignore_margin: float = Field(default=0.0, ge=0)
    """Square pixels added to the area of a detection before that share is taken."""
    invalid: Invalid = "repair"
    """Polygons that cross themselves. `repair`: their largest valid part counts. `even_odd`: overlaps are those of the
    points that an outline encloses an odd number of times, areas those of the outlines, so that the lobes of a bow-tie
    cancel. `zero_width`: the same with overlaps after a buffer of width zero. `mmocr`: as MMOCR 1.x, overlaps and
    areas after a buffer of width zero, but the area of the outline in the ignore rule, so that a bow-tie (area 0) is
    excluded as soon as it touches an ignored region. `drop`: what crosses itself or has no area takes no part at all,
    ground truth as well as detections. `drop_detections`: detections of that kind take no part, ground truth of that
    kind counts and is never found."""
    missing_images: Literal["counted", "left_out"] = "counted"
    """Images for which a file of predictions has no result at all: all their text is missed, or they are no part of
    the set (scripts that go through the submitted files)."""

    def rule(self) -> str:
        """The rule in a line, to be printed beside every number."""
        parts = [*_SHAPES[self.shape], *self._criteria(), *_FLAGS[self.heeds]]
        if self.ignored == "neutral":
            area = f"their area + {self.ignore_margin:g}" if self.ignore_margin else "their area"
            parts.append(f"detections with more than {self.ignore_threshold:g} of {area} in an ignored region excluded")
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
    """Degrees between two rectangles from which on they cannot match; None: any. Between the long sides of the shape
    `rectangle`, 90 at most; between the turns of the shape `upright_rectangle`, so that -44 and 44 are 88 apart."""
    cancelled: Literal["unmatched", "by_iou"] = "unmatched"
    """Outlines that cross themselves and whose lobes cancel to an area of exactly 0, where the rule takes areas of
    outlines: they match nothing, or whatever the IoU with that area says (PSENet's scripts)."""
    matching: Matching = "greedy"
    """Which of the candidates match. `greedy`: ground truth by ground truth in file order, the first free
    detection (ICDAR 2015's script); `maximum`: as many pairs as possible, in any order; `highest`: pairs of the
    highest IoU first; `argmax`: as in PASCAL VOC, detection by detection, the best score first, each with the ground
    truth that it overlaps most, or nothing where another has that already; `cover`: detection by detection in file
    order, each with all free ground truths it fits, counted once; `any`: not one-to-one."""

    def _criteria(self) -> list[str]:
        angle = [] if self.largest_angle is None else [f"angle < {self.largest_angle:g} degrees"]
        cancelled = ["lobes may cancel to area 0"] if self.cancelled == "by_iou" else []
        limit = f"IoU {'>' if self.strict else '>='} {self.iou_threshold:g}"
        return [limit, *cancelled, *angle, _MATCHINGS[self.matching]]


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
    lone_split_score: float = Field(default=1.0, ge=0, le=1)
    """What a ground truth and its piece count where it has only one."""
    smallest_group: int = Field(default=2, ge=1)
    """How many others a text must overlap at all before splits and merges are looked for."""
    pair_check: PairCheck = "alone"
    """What makes a pair one-to-one. `alone`: it fits by both shares, and no other pair of its detection or ground
    truth does, ignored and excluded ones included. `untouched`: besides, neither overlaps any other that counts.
    `by_shares`: one detection covers more than t_r of the ground truth, and one, perhaps another, lies in it by more
    than t_p; it is not asked whether that detection is taken (the script of Total-Text). `by_shares_both`: besides, the
    former covers no other ground truth by more than t_r, and the latter lies in no other by more than t_p."""
    merge_recall_threshold: float | None = Field(default=None, gt=0, le=1)
    """Share of a ground truth that has to be covered to take part in a merge, if not `recall_threshold`."""
    centre_distance: float | None = Field(default=None, gt=0)
    """Distance between the centres of a pair's bounding boxes, over the mean of their diagonals, from which on it is
    no pair."""
    share_decimals: int | None = Field(default=None, ge=0)
    """Decimals to which shares are rounded, half to even, before anything is compared; None: they are not."""
    sum_decimals: int | None = Field(default=None, ge=0)
    """Decimals to which the summed shares of splits and merges are rounded; None: they are not."""

    def _criteria(self) -> list[str]:
        parts = [
            f"DetEval with area recall {self.recall_threshold:g}, area precision {self.precision_threshold:g}",
            f"split {self.split_score:g}, merge {self.merge_score:g}",
        ]
        if self.lone_split_score < 1:
            parts.append(f"split of one {self.lone_split_score:g}")
        if self.smallest_group > 1:
            parts.append(f"groups from {self.smallest_group} overlaps on")
        if self.centre_distance is not None:
            parts.append(f"centre distance < {self.centre_distance:g}")
        parts += _PAIR_CHECKS[self.pair_check]
        if self.merge_recall_threshold is not None:
            parts.append(f"recall {self.merge_recall_threshold:g} suffices in merges")
        for name, decimals in (("shares", self.share_decimals), ("sums of shares", self.sum_decimals)):
            if decimals is not None:
                parts.append(f"{name} rounded to {decimals} decimals")
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
