"""Counts over many images, at every threshold."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

from scenetext.errors import ConfigError, DataError
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.report import format_sweep, sweep_report
from scenetext.evaluation.scores import DEFAULT_THRESHOLDS, SweepScores, threshold_grid
from scenetext.structures import Detection, TextInstance

IC15 = find_protocol("ic15")


def square(x: float) -> np.ndarray:
    return np.array([(x, 0), (x + 10, 0), (x + 10, 10), (x, 10)], dtype=np.float32)


def found(*pairs: tuple[float, float]) -> list[Detection]:
    return [Detection(square(x), score) for x, score in pairs]


def words(*positions: float, ignored: tuple[float, ...] = ()) -> list[TextInstance]:
    return [TextInstance(square(x), None) for x in positions] + [TextInstance(square(x), None, True) for x in ignored]


def filled() -> DetectionEvaluator:
    """Two images, 4 words: 4 detections from 0.3 on, 3 right; 3 from 0.5 on, 3 right; 1 from 0.8 on, right."""
    evaluator = DetectionEvaluator(IC15, (0.3, 0.5, 0.8))
    evaluator.add(Path("a.jpg"), found((0, 0.9), (100, 0.6), (300, 0.4)), words(0, 100))
    evaluator.add(Path("b.jpg"), found((0, 0.7), (500, 0.95)), words(0, 200, ignored=(500,)))
    return evaluator


def test_threshold_grid() -> None:
    assert DEFAULT_THRESHOLDS == (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert len(threshold_grid(0.3, 0.95, 0.05)) == 14
    assert threshold_grid(0.5, 0.5, 0.1) == (0.5,)


@pytest.mark.parametrize("grid", [(0.9, 0.3, 0.1), (0.3, 0.9, 0.0), (0.3, 0.9, -0.1), (0.3, math.nan, 0.1)])
def test_empty_grids_are_refused(grid: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="nothing to try"):
        threshold_grid(*grid)


def test_rates_by_hand() -> None:
    sweep = filled().scores()
    rows = [(score.found, score.hits, score.detections, score.ground_truths) for score in sweep.scores]
    assert rows == [(3, 3, 4, 4), (3, 3, 3, 4), (1, 1, 1, 4)]
    assert (sweep.at(0.3).precision, sweep.at(0.3).recall, sweep.at(0.3).hmean) == (0.75, 0.75, 0.75)
    assert (sweep.at(0.8).precision, sweep.at(0.8).recall, sweep.at(0.8).hmean) == (1.0, 0.25, 0.4)
    assert sweep.best is sweep.at(0.5)
    assert sweep.best.hmean == pytest.approx(6 / 7)
    assert (sweep.images, sweep.ground_truths, sweep.ignored, sweep.detections, sweep.excluded) == (2, 4, 1, 5, 1)
    assert sweep.mean_score == pytest.approx(0.71)
    assert sweep.best_score == pytest.approx(0.95)


def test_best_of_equals_is_the_lowest_threshold() -> None:
    evaluator = DetectionEvaluator(IC15, (0.7, 0.5, 0.6))
    evaluator.add(Path("a.jpg"), found((0, 0.9)), words(0))
    assert evaluator.scores().best.threshold == 0.5


def test_words_without_detections_score_zero() -> None:
    evaluator = DetectionEvaluator(IC15)
    evaluator.add(Path("a.jpg"), [], words(0))
    best = evaluator.scores().best
    assert (best.precision, best.recall, best.hmean) == (0.0, 0.0, 0.0)
    assert math.isnan(evaluator.scores().mean_score)


@pytest.mark.parametrize("detections", [[], found((0, 0.9)), found((500, 0.9))], ids=["nothing", "false", "excluded"])
def test_without_ground_truth_rates_are_undefined(detections: list[Detection]) -> None:
    evaluator = DetectionEvaluator(IC15)
    evaluator.add(Path("a.jpg"), detections, words(ignored=(500,)))
    sweep = evaluator.scores()
    for score in (*sweep.scores, sweep.best):
        assert math.isnan(score.precision)
        assert math.isnan(score.recall)
        assert math.isnan(score.hmean)
    report = sweep_report(sweep)
    assert report["best_on_this_set"] is None
    assert report["thresholds"][0]["hmean"] is None
    assert "undefined" in format_sweep(sweep)
    assert "best on this set" not in format_sweep(sweep)


def test_no_images_at_all() -> None:
    sweep = DetectionEvaluator(IC15).scores()
    assert (sweep.images, sweep.ground_truths, sweep.detections) == (0, 0, 0)
    assert math.isnan(sweep.best.hmean)


def test_an_image_added_again_counts_once() -> None:
    evaluator = filled()
    evaluator.add(Path("b.jpg"), found((0, 0.7), (500, 0.95)), words(0, 200, ignored=(500,)))
    assert evaluator.scores() == filled().scores()


@pytest.mark.parametrize("owners", [(0, 1), (1, 0), (0, 0), (1, 1)])
def test_evaluators_of_several_processes_add_up(owners: tuple[int, int]) -> None:
    parts = [DetectionEvaluator(IC15, (0.3, 0.5, 0.8)) for _ in range(2)]
    parts[owners[0]].add(Path("a.jpg"), found((0, 0.9), (100, 0.6), (300, 0.4)), words(0, 100))
    parts[owners[1]].add(Path("b.jpg"), found((0, 0.7), (500, 0.95)), words(0, 200, ignored=(500,)))
    whole, other = (part.counts() for part in parts)
    whole.include(pickle.loads(pickle.dumps(other)))
    assert whole.scores() == filled().scores()


def test_an_image_of_two_processes_or_another_rule_is_refused() -> None:
    with pytest.raises(DataError, match=r"a\.jpg: was evaluated by two processes"):
        filled().counts().include(filled().counts())
    with pytest.raises(ConfigError, match=r"by ic15 at thresholds \(0\.3, 0\.5, 0\.8\), not by ic15 at \(0\.5,\)"):
        DetectionEvaluator(IC15, (0.5,)).counts().include(filled().counts())


def test_no_thresholds_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        DetectionEvaluator(IC15, ())


@pytest.mark.parametrize("name", ["ic15", "td500", "ic13_deteval", "ctw_voc"])
def test_many_images_at_once_give_what_each_gives_alone(name: str) -> None:
    """Quadrangles and others, images without anything among them; to the last digit."""
    draw = np.random.default_rng(0)
    images = []
    for index in range(150):
        corners = 7 if index % 5 == 4 else 4
        outlines = draw.uniform(0, 60, (int(draw.integers(0, 7)), 1, 2)) + draw.normal(0, 20, (1, corners, 2))
        truth = [TextInstance(outline.astype(np.float32), None, bool(draw.random() < 0.2)) for outline in outlines]
        shifted = outlines[: int(draw.integers(0, 7))] + draw.normal(0, 4, (1, 1, 2))
        images.append((Path(f"{index}.jpg"), [Detection(s.astype(np.float32), draw.random()) for s in shifted], truth))
    together, alone = (DetectionEvaluator(find_protocol(name)) for _ in range(2))
    together.add_all(images)
    for image in images:
        alone.add(*image)
    assert together.scores() == alone.scores()
    for path, _, _ in images:
        assert together.images[path].matches == alone.images[path].matches
        assert together.images[path].excluded.tolist() == alone.images[path].excluded.tolist()


def test_a_broken_polygon_among_many_is_reported_with_its_image() -> None:
    evaluator = DetectionEvaluator(IC15)
    broken = Detection(np.full((4, 2), np.nan, dtype=np.float32), 0.5)
    with pytest.raises(DataError, match=r"b\.jpg: polygon 1 has coordinates that are not finite"):
        evaluator.add_all([(Path("a.jpg"), found((0, 0.9)), []), (Path("b.jpg"), [*found((0, 0.9)), broken], [])])


def test_worst_images_come_first() -> None:
    evaluator = filled()
    evaluator.add(Path("c.jpg"), found((0, 0.9), (100, 0.9), (200, 0.9)), words(300, 400))
    worst = evaluator.worst(0.5, 2)
    assert [path.name for path, _ in worst] == ["c.jpg", "b.jpg"]
    assert (worst[0][1].found, worst[0][1].detections, worst[0][1].ground_truths) == (0, 3, 2)


def rows_of(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")][2:]


def test_table() -> None:
    text = format_sweep(filled().scores())
    assert text.startswith("Protocol ic15: IoU > 0.5, greedy one-to-one matching")
    assert rows_of(text) == [
        ["0.3", "75.0", "75.0", "75.0", "3", "3", "4", "4", ""],
        ["0.5", "100.0", "75.0", "85.7", "3", "3", "4", "3", "best on this set"],
        ["0.8", "100.0", "25.0", "40.0", "1", "1", "4", "1", ""],
    ]
    assert "2 images, 4 ground truths, 1 ignored; 5 detections of any score, 1 of them excluded" in text


def test_table_tells_repairs_and_words_of_unknown_place() -> None:
    evaluator = DetectionEvaluator(IC15)
    bow_tie = Detection(square(0)[[0, 2, 1, 3]], 0.9)
    evaluator.add(Path("a.jpg"), [bow_tie], [*words(0), TextInstance(None, "word")])
    text = format_sweep(evaluator.scores())
    assert "1 polygons crossed themselves, 0 had no area." in text
    assert "1 of the ignored have no polygon" in text


def test_table_says_where_a_rule_finds_no_second_flag() -> None:
    remark = "No ground truth has two flags that disagree"
    for flag, said in ((None, True), ("orientation", False)):
        evaluator = DetectionEvaluator(find_protocol("totaltext_db"))
        evaluator.add(Path("a.jpg"), [], [TextInstance(square(0), None, True, flag)])
        assert (remark in format_sweep(evaluator.scores())) is said
    assert remark not in format_sweep(DetectionEvaluator(IC15).scores())


def test_report_is_plain_json() -> None:
    evaluator = DetectionEvaluator(IC15, np.array([0.5, 0.7], dtype=np.float32))  # type: ignore[arg-type]
    evaluator.add(Path("a.jpg"), [Detection(square(0), np.float32(0.9))], words(0))
    report = sweep_report(evaluator.scores())
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["protocol"]["name"] == "ic15"
    assert report["best_on_this_set"]["hmean"] == 1.0
    assert report["best_score"] == pytest.approx(0.9)


def test_sweep_counts_add_up() -> None:
    """Micro average: the counts of a set are the sums of those of its images."""
    evaluator = filled()
    images = {
        "a.jpg": (found((0, 0.9), (100, 0.6), (300, 0.4)), words(0, 100)),
        "b.jpg": (found((0, 0.7), (500, 0.95)), words(0, 200, ignored=(500,))),
    }
    alone: list[SweepScores] = []
    for name, (detections, instances) in images.items():
        single = DetectionEvaluator(IC15, evaluator.thresholds)
        single.add(Path(name), detections, instances)
        alone.append(single.scores())
    for index, score in enumerate(evaluator.scores().scores):
        assert score.found == sum(sweep.scores[index].found for sweep in alone)
        assert score.detections == sum(sweep.scores[index].detections for sweep in alone)
