"""Our rules against the published scripts, on whole test sets with real and altered detections (golden/evaluation)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkout import real_data_folder
from golden import GOLDEN, golden_json
from scenetext.data.readers.td500 import parse_line
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.overlaps import find_overlaps
from scenetext.evaluation.rules import Protocol
from scenetext.structures import Detection, TextInstance

RULES = {
    "rrc_ic15": "ic15",
    "rrc_ic15_end_to_end": "ic15_end_to_end",
    "rrc_ic15_word_spotting": "ic15_word_spotting",
    "rrc_icdar2013": "ic13_rrc",
    "rrc_deteval": "ic13_deteval",
    "mmocr0x_hmean_ic13": "ic13_mmocr",
    "totaltext_authors": "totaltext_deteval",
    "totaltext_psenet": "totaltext_deteval_psenet",
    "totaltext_textbpn_0.7_0.6": "totaltext_deteval_textbpn_0.7",
    "totaltext_textbpn_0.8_0.4": "totaltext_deteval_textbpn",
    "ctw_psenet": "ctw_psenet",
    "ctw_voc": "ctw_voc",
    "td500_psenet": "td500_psenet",
    "td500_textbpn": "td500_textbpn",
}
"""Published scripts, by their names among the goldens, and the named rule that counts as they do."""
UNNAMED = {
    "db_icdar2013": ("ic13_mmocr", {"invalid": "drop", "lone_split_score": 1.0}),
    "db_deteval": ("ic13_deteval", {"invalid": "drop", "shape": "box"}),
}
"""Scripts that no published number rests on: a named rule with other settings."""
PUBLISHED = [
    published
    for published in golden_json("evaluation", "figures.json")
    if (GOLDEN / "evaluation" / Path(published["set"]).with_suffix(".xz")).exists()
]
REPEATED = {"totaltext/synthetic_0.json.gz", "ctw1500/truth_new.json.gz"}
"""Detections and ground truths that show nothing which the others do not."""
PART = 4


def rule_of(published: dict[str, Any]) -> Protocol:
    script = published["script"]
    if script == "db_iou":
        data_set = Path(published["set"]).parts[0]
        return find_protocol("totaltext_db" if data_set == "totaltext" else "ic15_db")
    if script in UNNAMED:
        name, changes = UNNAMED[script]
        return find_protocol(name).model_copy(update=changes)
    return find_protocol(RULES[script])


@cache
def truth(name: str, made_by: str, with_flags: bool) -> dict[str, list[TextInstance]]:
    """The words of every image.

    Args:
        made_by: key of the flag that was chosen when the records were made.
        with_flags: whether the records say which flag is set where two disagree.
    """
    words: dict[str, list[TextInstance]] = {}
    for image in golden_json("evaluation", name)["images"]:
        words[image["name"]] = []
        for one in image["instances"]:
            disagree = with_flags and one["ignored"] != one.get("ignored_by_text", one["ignored"])
            ignore = bool(one.get(made_by, one["ignored"]))
            flag = "orientation" if disagree else None
            words[image["name"]].append(TextInstance(polygon(one), one.get("text"), ignore, flag))
    return words


def records_for(published: dict[str, Any]) -> dict[str, list[TextInstance]]:
    """Made by the other flag than the script reads, so that the rule has to find its own; but DB's script was also run
    on the flag by orientation."""
    read = published["ignored_flag"]
    name = published["truth"].removesuffix(".gz")
    if published["script"] == "db_iou" and read == "ignored":
        return truth(name, read, False)
    return truth(name, "ignored" if read == "ignored_by_text" else "ignored_by_text", True)


@cache
def detections(name: str) -> dict[str, list[Detection]]:
    return {
        image["path"]: [Detection(polygon(one), one["score"], one.get("text")) for one in image["detections"]]
        for image in golden_json("evaluation", name)["images"]
    }


def polygon(one: dict[str, Any]) -> np.ndarray:
    return np.array(one["polygon"], dtype=np.float32)


def published_cases() -> list[Any]:
    """The first set of every script whole, others in every fourth image; whole where there is time."""
    cases = []
    seen: set[str] = set()
    for published in PUBLISHED:
        name = "-".join(published[key] for key in ("script", "set", "truth", "ignored_flag"))
        is_repeated = bool(REPEATED & {published["set"], published["truth"]}) or published["script"] in seen
        seen.add(published["script"])
        cases.append(pytest.param(published, 1, id=name, marks=[pytest.mark.slow] if is_repeated else []))
        if is_repeated and not REPEATED & {published["set"], published["truth"]}:
            cases.append(pytest.param(published, PART, id=f"{name}-part"))
    return cases


@cache
def images_of_scripts() -> dict[tuple[str, ...], dict[str, list[float]]]:
    keys = ("script", "set", "truth", "ignored_flag")
    return {tuple(one[key] for key in keys): one["images"] for one in golden_json("evaluation", "per_image.json")}


@pytest.mark.parametrize(("published", "step"), published_cases())
def test_rule_gives_the_values_of_the_script(published: dict[str, Any], step: int) -> None:
    """Rates to 1e-9, where all images are there; found, hits, ground truths and detections of every image."""
    evaluator = DetectionEvaluator(rule_of(published), (0.0,))
    found = detections(published["set"].removesuffix(".gz"))
    expected = images_of_scripts()[tuple(published[key] for key in ("script", "set", "truth", "ignored_flag"))]
    words = records_for(published)
    if step > 1:
        words = {name: words[name] for name in sorted(expected)[::step]}
    evaluator.add_all((Path(name), found[name], words[name]) for name in words if name in found)
    for name in words.keys() - found.keys():
        evaluator.add_missing(Path(name), words[name])
    (score,) = evaluator.scores().scores
    for rate in ("precision", "recall", "hmean") if step == 1 else ():
        assert getattr(score, rate) == pytest.approx(published[rate], abs=1e-9), rate
    assert len(expected) == published["images"]
    assert len(evaluator.images) == -(-len(expected) // step)
    for path, image in evaluator.images.items():
        (counts,) = image.counts
        counted = (counts.found, counts.hits, counts.ground_truths, counts.detections)
        assert counted == pytest.approx(expected[path.name], abs=1e-6), path


def test_polygons_of_real_lines_give_back_the_rectangles_that_the_script_of_textbpn_reads() -> None:
    """Left, top, width, height and theta of the .gt lines, from corners that were rounded to 1/100 pixel."""
    files = sorted(real_data_folder("td500").glob("*.gt"))[:100]
    lines = [line for file in files for line in file.read_text().splitlines() if line.strip()]
    numbers = np.array([[float(field) for field in line.split()] for line in lines])
    outlines = [np.round(np.float64(parse_line(line).polygon), 2).astype(np.float32) for line in lines]
    overlaps = find_overlaps([(outlines, outlines)], find_protocol("td500_textbpn"))[0]
    alone = overlaps.rows == overlaps.columns
    np.testing.assert_array_equal(overlaps.iou[alone], 1.0)
    boxes = np.concatenate([numbers[:, 2:4], numbers[:, 2:4] + numbers[:, 4:6]], axis=1)
    rows, columns = boxes[overlaps.rows], boxes[overlaps.columns]
    low, high = np.maximum(rows[:, :2], columns[:, :2]), np.minimum(rows[:, 2:], columns[:, 2:])
    shared = np.prod(high - low, axis=1)
    areas = np.prod(numbers[:, 4:6], axis=1)
    union = areas[overlaps.rows] + areas[overlaps.columns] - shared
    np.testing.assert_allclose(overlaps.iou, shared / union, rtol=0, atol=1e-12)
    angles = np.degrees(numbers[:, 6])
    np.testing.assert_allclose(overlaps.angle, np.abs(angles[overlaps.rows] - angles[overlaps.columns]), atol=0.1)


def test_every_stored_script_has_a_rule() -> None:
    assert {published["script"] for published in PUBLISHED} == {"db_iou", *RULES, *UNNAMED}
