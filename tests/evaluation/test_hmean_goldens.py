"""The published metric ("hmean-iou" of MMOCR 1.0.1) on 13 images with every difficulty, reproduced to 1e-9."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from golden import golden_arrays, golden_json
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.scores import DEFAULT_THRESHOLDS, SweepScores, threshold_grid
from scenetext.geometry.overlap import intersection_matrix, make_regions
from scenetext.structures import Detection, TextInstance

Images = dict[str, tuple[list[Detection], list[TextInstance]]]
PROTOCOL = {"vanilla": "mmocr", "max_matching": "mmocr_maximum"}
VARIANTS = ["default_grid", "panet_grid", "iou0.7", "ignore_precision0.7"]


@pytest.fixture(scope="module")
def images() -> Images:
    """In single precision, as the reference keeps polygons (double precision moves some IoU by 1e-6)."""
    arrays = golden_arrays("detectors", "hmean_iou_inputs")

    def polygons(key: str) -> list[np.ndarray]:
        points, counts = arrays[f"{key}_polygons"].astype(np.float32), arrays[f"{key}_num_points"]
        return [outline[:count] for outline, count in zip(points, counts, strict=True)]

    loaded: Images = {}
    for key in sorted({name.split("/")[0] for name in arrays}):
        scores, ignored = arrays[f"{key}/scores"], arrays[f"{key}/ignored"]
        detections = [Detection(*found) for found in zip(polygons(f"{key}/pred"), scores, strict=True)]
        instances = [
            TextInstance(polygon, None, bool(flag))
            for polygon, flag in zip(polygons(f"{key}/gt"), ignored, strict=True)
        ]
        loaded[str(arrays[f"{key}/name"])] = (detections, instances)
    return loaded


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return golden_json("detectors", "hmean_iou_results.json")


def evaluator_of(strategy: str, parameters: dict[str, Any]) -> DetectionEvaluator:
    """The protocol of the strategy, with the parameters that differ from the published defaults."""
    settings = {
        "iou_threshold": parameters.get("match_iou_thr", 0.5),
        "ignore_threshold": parameters.get("ignore_precision_thr", 0.5),
    }
    rule = find_protocol(PROTOCOL[strategy]).model_copy(update=settings)
    grid = threshold_grid(0.3, 0.95, 0.05) if "pred_score_thrs" in parameters else DEFAULT_THRESHOLDS
    return DetectionEvaluator(rule, grid)


def assert_equal(sweep: SweepScores, expected: dict[str, Any]) -> None:
    measured = [(score.threshold, score.precision, score.recall, score.hmean) for score in sweep.scores]
    published = [(row["threshold"], row["precision"], row["recall"], row["hmean"]) for row in expected["per_threshold"]]
    np.testing.assert_allclose(measured, published, atol=1e-9, rtol=0)
    best = expected["best"]
    np.testing.assert_allclose(
        (sweep.best.precision, sweep.best.recall, sweep.best.hmean),
        (best["precision"], best["recall"], best["hmean"]),
        atol=1e-9,
        rtol=0,
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("strategy", PROTOCOL)
def test_whole_set(strategy: str, variant: str, images: Images, published: dict[str, Any]) -> None:
    expected = published["results"][f"{strategy}/{variant}"]
    evaluator = evaluator_of(strategy, expected["params"])
    for name, (detections, instances) in images.items():
        evaluator.add(Path(name), detections, instances)
    assert_equal(evaluator.scores(), expected)


@pytest.mark.parametrize("strategy", PROTOCOL)
def test_every_image_alone(strategy: str, images: Images, published: dict[str, Any]) -> None:
    """Without ground truth the published rates are 0 and 1; those of scenetext are undefined."""
    undefined = set()
    for name, (detections, instances) in images.items():
        evaluator = evaluator_of(strategy, {})
        evaluator.add(Path(name), detections, instances)
        sweep = evaluator.scores()
        if sweep.ground_truths:
            assert_equal(sweep, published["results"][f"{strategy}/single_images"][name])
        else:
            undefined.add(name)
            assert all(np.isnan([score.precision, score.recall, score.hmean]).all() for score in sweep.scores)
    assert undefined == {"no_gt", "only_ignored"}


@pytest.mark.parametrize("variant", ["default_grid", "ignore_precision0.7"])
def test_kept_detections_and_their_iou(variant: str, images: Images, published: dict[str, Any]) -> None:
    expected = published["results"][f"vanilla/{variant}"]
    evaluator = evaluator_of("vanilla", expected["params"])
    for row in expected["per_image"]:
        detections, instances = images[row["name"]]
        result = evaluator.add(Path(row["name"]), detections, instances)
        kept = [index for index in np.nonzero(~result.excluded)[0] if detections[index].score >= np.float32(0.3)]
        np.testing.assert_allclose([detections[index].score for index in kept], row["kept_scores"], atol=1e-9)
        assert result.ground_truths == row["gt_num"]
        words = [item.polygon for item in instances if not item.ignore and item.polygon is not None]
        rows = make_regions(words, repair=without_width)
        columns = make_regions([detections[index].polygon for index in kept], repair=without_width)
        overlap = intersection_matrix(rows, columns)
        iou = overlap / (rows.areas[:, None] + columns.areas - overlap)
        np.testing.assert_allclose(iou, np.reshape(row["iou"], iou.shape), atol=1e-9)


def without_width(geometries: np.ndarray) -> np.ndarray:
    return shapely.buffer(geometries, 0)


def test_scores_equal_to_a_threshold(published: dict[str, Any]) -> None:
    square = np.array([(0, 0), (9, 0), (9, 9), (0, 9)], dtype=np.float32)
    for row in published["score_on_threshold_numpy_1.26"]:
        evaluator = evaluator_of("vanilla", {})
        evaluator.add(Path("one"), [Detection(square, np.float32(row["score"]))], [TextInstance(square, None)])
        assert [score.recall for score in evaluator.scores().scores] == row["recall_per_threshold"]
