"""The content of the page about runs, against literal runs and images."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from scenetext.config import flat_settings
from scenetext.data.records.images import write_image
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.named_rules import find_protocol
from scenetext.inspection.curves import Curve, thinned
from scenetext.inspection.report.content import (
    ReportedRun,
    curve_panels,
    dataset_names,
    describe_runs,
    page_thresholds,
    settings_tables,
)
from scenetext.inspection.report.gallery import GalleryImage, ImageResults, describe_image, text_height
from scenetext.inspection.report.page import page
from scenetext.structures import Detection, ImageRecord, TextInstance


def box(left: float, top: float = 4) -> np.ndarray:
    return np.array([(left, top), (left + 20, top), (left + 20, top + 10), (left, top + 10)], dtype=np.float32)


INSTANCES = (TextInstance(box(5), "STOP"), TextInstance(box(40), "EXIT"), TextInstance(box(70), "x", ignore=True))


def results(path: Path, found: list[Detection]) -> ImageResults:
    evaluator = DetectionEvaluator(find_protocol("ic15"), (0.3, 0.5, 0.7))
    evaluator.add(path, found, INSTANCES)
    return ImageResults(evaluator, {path: found})


def test_outcomes_of_an_image_at_every_threshold(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, np.zeros((30, 96, 3), dtype=np.uint8))
    found = [Detection(box(5), 0.9, "STOP"), Detection(box(40), 0.6), Detection(box(5, 18), 0.4)]
    image = GalleryImage(ImageRecord(path, 96, 30, INSTANCES), "signs")
    shown = describe_image(image, [results(path, found), None], 10_000)
    assert [one["text"] for one in shown["truths"]] == ["STOP", "EXIT", "x"]
    assert shown["truths"][0]["points"] == "5.0,4.0 25.0,4.0 25.0,14.0 5.0,14.0"
    assert shown["runs"][1] is None
    of_run = shown["runs"][0]
    states = [of_run["states"][index] for index in of_run["at"]]
    assert [(one["hit"], one["missed"], one["false"], one["ignored"], one["errors"]) for one in states] == [
        ((0, 1), (), (2,), (2,), 1.0),
        ((0, 1), (), (), (2,), 0.0),
        ((0,), (1,), (), (2,), 1.0),
    ]


def test_a_picture_fits_its_budget_or_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8))
    image = GalleryImage(ImageRecord(path, 800, 600, ()), "noise")
    sizes = []
    for budget in (2_000_000, 200_000, 60_000):
        picture = describe_image(image, [], budget)["picture"]
        assert picture.startswith("data:image/jpeg;base64,")
        assert len(picture) <= budget
        sizes.append(len(picture))
    assert sizes == sorted(sizes, reverse=True)
    assert describe_image(image, [], 1000)["picture"] is None
    missing = GalleryImage(ImageRecord(tmp_path / "nowhere.png", 800, 600, ()), "noise")
    assert describe_image(missing, [], 10**6)["picture"] is None


def test_the_height_of_a_text_does_not_depend_on_its_direction() -> None:
    angle = math.radians(30)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    assert text_height(box(5)) == 10
    assert text_height((box(5) @ turn.T).astype(np.float32)) == pytest.approx(10, abs=0.1)
    assert text_height(box(5)[:, ::-1].copy()) == 10


def test_scores_of_runs_are_those_of_the_evaluator(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    scored = results(path, [Detection(box(5), 0.6), Detection(box(60, 18), 0.4)])
    (run,) = describe_runs([ReportedRun("a", {}, {}, {"folder": "x"}, scored.evaluator, 0.5)])
    assert run["sweep"] == [[0.3, 0.5, 0.5, 0.5], [0.5, 1.0, 0.5, 2 / 3], [0.7, None, 0.0, 0.0]]
    assert (run["fixed"], run["best"]) == (1, 1)


def test_curves_are_grouped_and_bounded() -> None:
    long = Curve(np.arange(1, 1001), np.arange(1, 1001, dtype=float))
    nan = Curve(np.array([1, 2]), np.array([math.nan, 0.5]))
    runs = [
        ReportedRun("a", {"train/loss": long, "train/threshold": nan, "train/learning_rate": nan}, {}, {}),
        ReportedRun("b", {"evaluation/hmean": nan, "evaluation/threshold": nan}, {}, {}),
    ]
    panels = {one["name"]: one for one in curve_panels(runs)}
    assert [(name, one["group"]) for name, one in panels.items()] == [
        ("evaluation/hmean", "scores"),
        ("train/loss", "losses"),
        ("train/threshold", "losses"),
        ("train/learning_rate", "other"),
        ("evaluation/threshold", "other"),
    ]
    assert panels["evaluation/hmean"]["series"] == [{"run": 1, "x": [1, 2], "y": [None, 0.5]}]
    assert len(panels["train/loss"]["series"][0]["x"]) <= 400


@pytest.mark.parametrize(("points", "steps", "values"), [(9, [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]), (2, [3, 5], [2, 4])])
def test_thinned_curves_are_means_that_end_with_the_last_step(
    points: int, steps: list[int], values: list[float]
) -> None:
    made = thinned(Curve(np.arange(1, 6), np.arange(1.0, 6.0)), points)
    assert made.steps.tolist() == steps
    assert made.values.tolist() == values


def test_settings_that_differ_and_those_that_do_not() -> None:
    a = flat_settings({"encoder": {"name": "clip", "weights": None}, "steps": 5, "groups": []})
    b = flat_settings({"encoder": {"name": "clip", "width": 8}, "steps": 6, "groups": []})
    tables = settings_tables([ReportedRun("a", {}, a, {}), ReportedRun("b", {}, b, {})])
    assert tables["different"] == [
        ("encoder.weights", ["null", None]),
        ("steps", ["5", "6"]),
        ("encoder.width", [None, "8"]),
    ]
    assert tables["same"] == [("encoder.name", '"clip"'), ("groups", "[]")]


def test_names_of_datasets_differ() -> None:
    assert dataset_names([Path("a/val.jsonl"), Path("a/test.jsonl")]) == ["val", "test"]
    assert dataset_names([Path("a/records.jsonl"), Path("b/records.jsonl")]) == ["a", "b"]
    assert dataset_names([Path("a/val.jsonl"), Path("b/val.jsonl")]) == ["a/val", "b/val"]
    assert dataset_names([Path("x/a/val.jsonl"), Path("y/a/val.jsonl")]) == ["x/a/val.jsonl", "y/a/val.jsonl"]


def test_the_slider_has_what_runs_use() -> None:
    thresholds = page_thresholds([0.33, 0.5, 0.5])
    assert thresholds[:3] == (0.05, 0.1, 0.15)
    assert 0.33 in thresholds
    assert len(thresholds) == 20


def test_no_text_of_data_is_markup() -> None:
    words = ["<script>alert(1)</script>", "<!-- <script>", "@@script@@", "a & b"]
    text = page("<b>run</b>", {"words": words})
    assert "<script>alert" not in text
    assert "<!-- <script>" not in text
    assert "<title>&lt;b&gt;run&lt;/b&gt;</title>" in text
    block = re.findall(r'<script id="content" type="application/json">(.*?)</script>', text, flags=re.DOTALL)
    assert len(block) == 1
    assert json.loads(block[0])["words"] == words


def test_the_page_names_nothing_outside_of_itself() -> None:
    text = page("run", {})
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}, "a namespace, never loaded"
    assert not re.findall(r"<(?:link|script|img|iframe)[^>]*(?:src|href)=\"(?!data:)", text)
    assert "default-src 'none'" in text
