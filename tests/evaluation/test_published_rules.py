"""Our rules against the published scripts, on whole test sets with real and altered detections (golden/evaluation)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden import GOLDEN, golden_json
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.rules import find_protocol
from scenetext.structures import Detection, TextInstance

RULES = {
    "rrc_ic15": "ic15",
    "rrc_ic15_end_to_end": "ic15_end_to_end",
    "rrc_ic15_word_spotting": "ic15_word_spotting",
    "ctw_psenet": "ctw_psenet",
    "ctw_voc": "ctw_voc",
    "td500_psenet": "td500_psenet",
    "totaltext_psenet": "totaltext_deteval_psenet",
}
"""Published scripts, by their names among the goldens, and the named rule that counts as they do."""
STORED = {path.name for path in (GOLDEN / "evaluation").rglob("*.json.xz")}
PUBLISHED = [
    published
    for published in golden_json("evaluation", "figures.json")
    if published["script"] in RULES and f"{Path(published['set']).stem}.xz" in STORED
]
CROSSING = "some polygons cross themselves: the script counts areas by the even-odd rule, scenetext repairs the shape"
KNOWN_DIFFERENCES = {
    ("totaltext_psenet", "totaltext/text_perceptron.json.gz"): CROSSING,
    ("ctw_psenet", "ctw1500/partial.json.gz"): CROSSING,
}


@cache
def truth(name: str, flag: str) -> dict[str, list[TextInstance]]:
    return {
        image["name"]: [TextInstance(polygon(one), one.get("text"), bool(one[flag])) for one in image["instances"]]
        for image in golden_json("evaluation", name)["images"]
    }


@cache
def detections(name: str) -> dict[str, list[Detection]]:
    return {
        image["path"]: [Detection(polygon(one), one["score"], one.get("text")) for one in image["detections"]]
        for image in golden_json("evaluation", name)["images"]
    }


def polygon(one: dict[str, Any]) -> np.ndarray:
    return np.array(one["polygon"], dtype=np.float32)


def published_case(published: dict[str, Any]) -> Any:
    reason = KNOWN_DIFFERENCES.get((published["script"], published["set"]))
    marks = [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]
    return pytest.param(published, id=f"{published['script']}-{published['set']}-{published['truth']}", marks=marks)


@pytest.mark.parametrize("published", [published_case(published) for published in PUBLISHED])
def test_rule_gives_the_values_of_the_script(published: dict[str, Any]) -> None:
    evaluator = DetectionEvaluator(find_protocol(RULES[published["script"]]), (0.0,))
    found = detections(published["set"].removesuffix(".gz"))
    for name, instances in truth(published["truth"].removesuffix(".gz"), published["ignored_flag"]).items():
        if name in found:
            evaluator.add(Path(name), found[name], instances)
        else:
            evaluator.add_missing(Path(name), instances)
    (score,) = evaluator.scores().scores
    for rate in ("precision", "recall", "hmean"):
        assert getattr(score, rate) == pytest.approx(published[rate], abs=1e-9), rate
