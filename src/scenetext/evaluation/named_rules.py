"""The rules that have a name, and whose numbers they stand for.

Values are comparable only where their rules are equal. What is known of each published script, and how far the rules
here are compared with it: docs/evaluation.md. A new rule is one more entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator

from scenetext.errors import ConfigError, did_you_mean
from scenetext.evaluation.rules import DetEvalProtocol, IouProtocol, Protocol, SpottingProtocol

_DB = IouProtocol(name="db", invalid="drop")
_MMOCR = IouProtocol(name="mmocr", invalid="mmocr", heeds="text", used_by="MMOCR 1.x (vanilla), and TCM with it")
_ICDAR_2015 = (
    IouProtocol(
        name="ic15",
        invalid="even_odd",
        used_by="the script of ICDAR 2015, task 4.1; PSENet, PAN++, TextBPN, DRRG on ICDAR 2015",
    ),
    _DB.model_copy(
        update={
            "name": "ic15_db",
            "used_by": "DB, DBNet++ on ICDAR 2015",
            "note": "Until November 2026 it counted ground truth that crosses itself as missed; DB drops it.",
        }
    ),
    _MMOCR,
    _MMOCR.model_copy(
        update={"name": "mmocr_maximum", "matching": "maximum", "used_by": "MMOCR 1.x (max_matching); PAN there"}
    ),
    IouProtocol(name="mlt17", invalid="even_odd", used_by="ICDAR 2017 MLT, the rule of ic15"),
)
_IC13 = DetEvalProtocol(
    name="ic13_mmocr",
    shape="box",
    recall_threshold=0.8,
    precision_threshold=0.4,
    ignore_threshold=0.4,
    merge_score=1.0,
    lone_split_score=0.8,
    smallest_group=1,
    centre_distance=1.0,
    used_by="MMOCR 0.x (hmean_ic13)",
)
_ICDAR_2013 = (
    _IC13,
    _IC13.model_copy(
        update={
            "name": "ic13_rrc",
            "shape": "pixel_box",
            "used_by": "the server of ICDAR 2013, 'ICDAR 2013 evaluation'",
        }
    ),
    _IC13.model_copy(
        update={
            "name": "ic13_deteval",
            "shape": "pixel_box",
            "lone_split_score": 1.0,
            "smallest_group": 2,
            "pair_check": "untouched",
            "sum_decimals": 4,
            "used_by": "the server of ICDAR 2013, 'DetEval'",
            "note": "Until November 2026 this name stood for another rule, which is ic13_mmocr now.",
        }
    ),
)
_ART_AND_LSVT = (
    IouProtocol(name="art", matching="highest", used_by="ICDAR 2019 ArT, as its paper says"),
    IouProtocol(name="art_iou0.7", matching="highest", iou_threshold=0.7, used_by="ICDAR 2019 ArT at IoU 0.7"),
    IouProtocol(name="lsvt", matching="highest", used_by="ICDAR 2019 LSVT, as its paper says"),
    IouProtocol(name="lsvt_iou0.7", matching="highest", iou_threshold=0.7, used_by="ICDAR 2019 LSVT at IoU 0.7"),
)
_TOTALTEXT_PSENET = DetEvalProtocol(
    name="totaltext_deteval_psenet",
    recall_threshold=0.7,
    precision_threshold=0.6,
    merge_recall_threshold=0.6,
    pair_check="by_shares",
    heeds="orientation",
    invalid="even_odd",
    missing_images="left_out",
    used_by="PSENet, PAN++, and very likely oCLIP on Total-Text",
)
_TOTALTEXT_ROUNDED = _TOTALTEXT_PSENET.model_copy(
    update={"invalid": "zero_width", "ignore_margin": 1.0, "share_decimals": 2}
)
_TOTALTEXT = (
    IouProtocol(
        name="totaltext_iou",
        invalid="even_odd",
        used_by="no script: the rule of ic15 on polygons (DB has totaltext_db, MMOCR has mmocr)",
    ),
    _DB.model_copy(update={"name": "totaltext_db", "heeds": "text", "used_by": "DB, DBNet++ on Total-Text"}),
    _TOTALTEXT_ROUNDED.model_copy(
        update={
            "name": "totaltext_deteval",
            "pair_check": "by_shares_both",
            "used_by": "the present script of Total-Text's authors",
            "note": "Until November 2026 this name stood for a rule that no script has.",
        }
    ),
    _TOTALTEXT_PSENET,
    _TOTALTEXT_ROUNDED.model_copy(
        update={
            "name": "totaltext_deteval_textbpn",
            "recall_threshold": 0.8,
            "precision_threshold": 0.4,
            "merge_recall_threshold": 0.4,
            "used_by": "TextBPN, DRRG, MixNet on Total-Text with 0.8 and 0.4",
            "note": "Until November 2026 shares were not rounded (hmean -0.7 to +0.2 points).",
        }
    ),
    _TOTALTEXT_ROUNDED.model_copy(
        update={
            "name": "totaltext_deteval_textbpn_0.7",
            "used_by": "TextBPN, DRRG, MixNet on Total-Text with 0.7 and 0.6",
        }
    ),
)
_CTW1500 = (
    IouProtocol(
        name="ctw_psenet",
        strict=False,
        cancelled="by_iou",
        matching="cover",
        ignored="counted",
        invalid="even_odd",
        missing_images="left_out",
        used_by="PSENet, PAN++ on CTW1500",
    ),
    IouProtocol(
        name="ctw_voc",
        matching="argmax",
        ignored="counted",
        invalid="drop_detections",
        used_by="Curve-Text-Detector, TextBPN, DRRG on CTW1500",
    ),
)
_TD500 = (
    IouProtocol(
        name="td500",
        shape="rectangle",
        largest_angle=22.5,
        ignored="free",
        used_by="the paper of Yao et al. (MSRA-TD500); no script was found",
    ),
    IouProtocol(
        name="td500_psenet",
        strict=False,
        cancelled="by_iou",
        matching="any",
        ignored="free",
        invalid="even_odd",
        missing_images="left_out",
        used_by="PSENet, PAN++ on MSRA-TD500",
    ),
    IouProtocol(
        name="td500_textbpn", shape="upright_rectangle", largest_angle=22.5, used_by="TextBPN, DRRG on MSRA-TD500"
    ),
    _DB.model_copy(update={"name": "td500_db", "used_by": "DB, DBNet++ on MSRA-TD500"}),
)
_READING = (
    SpottingProtocol(name="ic15_end_to_end", invalid="even_odd", used_by="the script of ICDAR 2015, task 4.4"),
    SpottingProtocol(
        name="ic15_word_spotting",
        reading="word_spotting",
        invalid="even_odd",
        used_by="the script of ICDAR 2015, task 4.4, word spotting",
    ),
    SpottingProtocol(
        name="totaltext_end_to_end",
        heeds="text",
        ignored="absent",
        invalid="even_odd",
        used_by="Mask TextSpotter on Total-Text, None and Full, whose ground truth lacks the ignored words",
    ),
    SpottingProtocol(
        name="totaltext_word_spotting",
        reading="word_spotting",
        heeds="text",
        invalid="even_odd",
        used_by="ABCNet, TESTR, DeepSolo on Total-Text",
    ),
    SpottingProtocol(name="art_end_to_end", matching="highest", reading="exact", used_by="ICDAR 2019 ArT, task 3"),
    SpottingProtocol(name="lsvt_end_to_end", matching="highest", reading="exact", used_by="ICDAR 2019 LSVT, task 2"),
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            *_ICDAR_2015,
            *_ICDAR_2013,
            *_ART_AND_LSVT,
            *_TOTALTEXT,
            *_CTW1500,
            *_TD500,
            *_READING,
        )
    }
)


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


def _known(name: str) -> str:
    try:
        return find_protocol(name).name
    except ConfigError as error:
        raise ValueError(str(error)) from None


ProtocolName = Annotated[str, AfterValidator(_known)]
"""The name of a rule, as a type of settings."""
