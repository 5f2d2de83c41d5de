"""The rules by which detections are counted, by name. Numbers compare only where their rules are equal.

Papers and published scripts that use them: docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scenetext.errors import ConfigError, did_you_mean
from scenetext.evaluation.rules import DetEvalProtocol, IouProtocol, Protocol, SpottingProtocol

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
