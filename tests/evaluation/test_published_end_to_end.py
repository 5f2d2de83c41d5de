"""End-to-end and word-spotting counts of the published scripts, image by image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden import golden_json
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.files.result_lines import unquoted
from scenetext.evaluation.named_rules import find_protocol
from scenetext.structures import Detection, TextInstance


def instances(image: dict[str, Any]) -> list[TextInstance]:
    return [
        TextInstance(np.array(each["polygon"], np.float32), unquoted(each["text"]), each["text"] == "###")
        for each in image["ground_truths"]
    ]


def detections(image: dict[str, Any]) -> list[Detection]:
    return [
        Detection(np.array(each["polygon"], np.float32), 1.0, unquoted(each["text"])) for each in image["detections"]
    ]


@pytest.mark.parametrize(
    ("rule", "part"),
    [("ic15_end_to_end", "end_to_end"), ("ic15_word_spotting", "word_spotting"), ("ic15_end_to_end", "total_text")],
)
def test_counts_of_every_image(rule: str, part: str) -> None:
    content = golden_json("spotting", "end_to_end.json")
    published = content[part]
    images = published.get("images", content["images"])
    evaluator = DetectionEvaluator(find_protocol(rule), (0.5,))
    for number, image in enumerate(images, start=1):
        path = Path(image["name"])
        if image["detections"] is None:
            evaluator.add_missing(path, instances(image))
            continue
        found = evaluator.add(path, detections(image), instances(image)).at(0.5)
        expected = published["per_image"][image["name"] if part == "total_text" else str(number)]
        counted = len(image["ground_truths"]) - len(expected["ground_truths_ignored"])
        considered = len(image["detections"]) - len(expected["detections_ignored"])
        right = sum(is_right for _, _, is_right in expected["pairs"])
        assert (found.ground_truths, found.detections, found.found) == (counted, considered, right), image["name"]
    best = evaluator.scores().at(0.5)
    for rate, expected_rate in published["method"].items():
        assert getattr(best, rate) == pytest.approx(expected_rate, abs=1e-9)


def test_ignored_words_may_be_absent_from_the_ground_truth() -> None:
    """What Mask TextSpotter's numbers on Total-Text rest on: a detection on an ignored word is false."""
    square = np.array([(0, 0), (40, 0), (40, 20), (0, 20)], np.float32)
    truth = [TextInstance(square, "word"), TextInstance(square + np.float32(50), "###", ignore=True)]
    found = [Detection(square, 1.0, "word"), Detection(square + np.float32(50), 1.0, "other")]
    for rule, precision in (("totaltext_end_to_end", 0.5), ("totaltext_word_spotting", 1.0)):
        evaluator = DetectionEvaluator(find_protocol(rule), (0.5,))
        evaluator.add(Path("a.jpg"), found, truth)
        score = evaluator.scores().at(0.5)
        assert (score.precision, score.recall) == (precision, 1.0)
