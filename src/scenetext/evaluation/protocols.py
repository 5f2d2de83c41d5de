"""The rules by which detections are counted, by name. Numbers compare only where their rules are equal."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from scenetext.config import Settings
from scenetext.errors import ConfigError, did_you_mean


class Protocol(Settings):
    """One rule for matching detections with ground truth, one to one, by intersection over union (IoU).

    Ignored regions are dealt with first: a detection that lies in one of them is left out, neither right nor wrong.
    What remains is counted over all images together (micro average).
    """

    name: str
    """Printed beside every number."""
    iou_threshold: float = Field(default=0.5, gt=0, le=1)
    """A detection and a ground truth may match from this IoU on."""
    strict: bool = True
    """Whether the IoU must exceed the threshold (ICDAR 2015), or may equal it."""
    ignore_threshold: float = Field(default=0.5, ge=0, le=1)
    """A detection is left out where more than this share of ITS area lies in any one ignored region."""
    matching: Literal["greedy", "maximum"] = "greedy"
    """`greedy`: ground truth by ground truth in file order, the first free detection (ICDAR 2015's script); `maximum`:
    as many pairs as can be had, whatever the order."""
    invalid: Literal["repair", "published"] = "repair"
    """Polygons that cross themselves. `repair`: their largest valid part counts. `published`: as MMOCR 1.x, a
    zero-width buffer for overlaps, but the unrepaired area in the ignore rule, so that a bow-tie (area 0) is left out
    as soon as it touches an ignored region."""

    def rule(self) -> str:
        """The rule in a line, to be printed beside every number."""
        parts = [
            f"IoU {'>' if self.strict else '>='} {self.iou_threshold:g}",
            f"{self.matching} one-to-one matching",
            f"detections with more than {self.ignore_threshold:g} of their area in an ignored region left out",
            "self-crossing polygons repaired" if self.invalid == "repair" else "self-crossing polygons as published",
        ]
        return ", ".join(parts)


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({"ic15": Protocol(name="ic15")})
"""`ic15`: ICDAR 2015 Robust Reading, challenge 4, task 1 (script.py of the organisers); also used by MMOCR, DB and TCM
for Total-Text, CTW1500 and TD500 polygons ("hmean-iou")."""


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
