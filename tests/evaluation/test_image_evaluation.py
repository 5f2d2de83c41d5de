"""Detections of one image against its ground truth: the rule, by cases and by its properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetext.errors import ConfigError, DataError
from scenetext.evaluation.evaluator import evaluate_image
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.rules import IouProtocol
from scenetext.evaluation.scores import DEFAULT_THRESHOLDS, Match
from scenetext.structures import Detection, TextInstance

IC15 = find_protocol("ic15")
MAXIMUM = IouProtocol(name="maximum", matching="maximum")
BOW_TIE = np.array([(100, 0), (200, 50), (200, 0), (100, 50)], dtype=np.float32)


def box(left: float, top: float, width: float, height: float) -> np.ndarray:
    return np.array(
        [(left, top), (left + width, top), (left + width, top + height), (left, top + height)], dtype=np.float32
    )


def word(polygon: np.ndarray | None, ignore: bool = False) -> TextInstance:
    return TextInstance(polygon, None, ignore)


boxes = st.builds(box, st.integers(0, 60), st.integers(0, 30), st.integers(4, 40), st.integers(4, 20))
detection_lists = st.lists(st.builds(Detection, boxes, st.integers(0, 100).map(lambda value: value / 100)), max_size=7)
instance_lists = st.lists(st.builds(word, boxes, st.booleans()), max_size=7)


@pytest.mark.parametrize(("width", "strict", "matched"), [(50, True, 0), (50, False, 1), (51, True, 1), (49, False, 0)])
def test_iou_must_exceed_or_reach_the_threshold(width: float, strict: bool, matched: int) -> None:
    rule = IouProtocol(name="rule", strict=strict)
    result = evaluate_image([Detection(box(0, 0, width, 40), 0.9)], [word(box(0, 0, 100, 40))], rule, [0.5])
    assert len(result.matches[0]) == matched


@pytest.mark.parametrize(
    ("inside", "excluded"),
    [(0, False), (50, False), (51, True), (100, True)],
    ids=["outside", "half", "more", "inside"],
)
def test_excluded_where_more_than_half_of_the_detection_is_in_an_ignored_region(inside: float, excluded: bool) -> None:
    """`inside` of 100 pixels of the detection lie in a region so large that IoU would never show it."""
    detection = Detection(box(900 + inside, 10, 100, 20), 0.9)
    result = evaluate_image([detection], [word(box(1000, 0, 5000, 500), ignore=True)], IC15, [0.5])
    assert result.excluded.tolist() == [excluded]
    assert result.ground_truths == 0


def test_two_ignored_regions_do_not_add_up() -> None:
    detection = Detection(box(0, 0, 100, 20), 0.9)
    halves = [word(box(-10, 0, 50, 20), ignore=True), word(box(60, 0, 50, 20), ignore=True)]
    assert evaluate_image([detection], halves, IC15, [0.5]).excluded.tolist() == [False]


def test_excluded_detections_match_nothing() -> None:
    """A word on an ignored region at the same position: the detection goes to the region, the word is missed."""
    instances = [word(box(0, 0, 100, 20)), word(box(0, 0, 100, 20), ignore=True)]
    outcome = evaluate_image([Detection(box(0, 0, 100, 20), 0.9)], instances, IC15, [0.5]).outcome(0.5)
    assert outcome == ((), (), (0,), (), (0,), (1,))


def test_one_to_one_in_file_order() -> None:
    """Both detections fit the first word, only the first fits the second: greedy takes it for the first word."""
    words = [word(box(0, 0, 100, 20)), word(box(20, 0, 100, 20))]
    found = [Detection(box(10, 0, 100, 20), 0.6), Detection(box(-20, 0, 100, 20), 0.9)]
    assert evaluate_image(found, words, IC15, [0.5]).matches == ((Match(0, 0),),)
    assert evaluate_image(found, words, MAXIMUM, [0.5]).matches == ((Match(1, 0), Match(0, 1)),)
    assert evaluate_image(found, words, IC15, [0.8]).matches == ((Match(1, 0),),)


def test_outcome_tells_what_became_of_everything() -> None:
    detections = [
        Detection(box(0, 0, 100, 20), 0.9),
        Detection(box(500, 0, 100, 20), 0.8),
        Detection(box(0, 200, 100, 20), 0.7),
        Detection(box(0, 100, 100, 20), 0.4),
    ]
    instances = [
        word(box(0, 200, 100, 20), ignore=True),
        word(box(0, 0, 100, 20)),
        word(box(0, 100, 100, 20)),
        word(None),
    ]
    result = evaluate_image(detections, instances, IC15, (0.3, 0.6))
    assert result.outcome(0.6) == ((0,), (1,), (2,), (1,), (2,), (0, 3))
    assert result.outcome(0.3) == ((0, 3), (1,), (2,), (1, 2), (), (0, 3))
    assert [score.detections for score in result.counts] == [3, 2]
    assert (result.ground_truths, result.without_polygon) == (2, 1)


def test_threshold_that_was_not_tried() -> None:
    with pytest.raises(ConfigError, match=r"0\.55 was not evaluated; these were: 0\.3, 0\.6"):
        evaluate_image([], [], IC15, (0.3, 0.6)).outcome(0.55)


@pytest.mark.parametrize("threshold", DEFAULT_THRESHOLDS)
def test_single_precision_scores_reach_their_threshold(threshold: float) -> None:
    instances = [word(box(0, 0, 100, 20))]
    for kind in (float, np.float32):
        result = evaluate_image([Detection(box(0, 0, 100, 20), kind(threshold))], instances, IC15, DEFAULT_THRESHOLDS)
        assert [len(matches) for matches in result.matches] == [int(tried <= threshold) for tried in DEFAULT_THRESHOLDS]


def test_self_crossing_detection_near_an_ignored_region() -> None:
    """Its signed area is 0, so the published rule excludes it on the slightest touch; `repair` takes its real area."""
    instances = [word(box(197, 0, 8, 50), ignore=True)]
    repaired = evaluate_image([Detection(BOW_TIE, 0.9)], instances, IC15, [0.5])
    published = evaluate_image([Detection(BOW_TIE, 0.9)], instances, IouProtocol(name="p", invalid="mmocr"), [0.5])
    assert (repaired.excluded.tolist(), repaired.repaired) == ([False], 1)
    assert (published.excluded.tolist(), published.repaired) == ([True], 1)


def test_polygons_without_area_count_but_never_match() -> None:
    line = np.array([(0, 0), (50, 0), (100, 0)], dtype=np.float32)
    result = evaluate_image([Detection(line, 0.9)], [word(line)], IC15, [0.5])
    assert result.outcome(0.5) == ((), (0,), (), (), (0,), ())
    assert result.degenerate == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_score_and_bad_polygon_are_named(bad: float) -> None:
    good = Detection(box(0, 0, 9, 9), 0.5)
    with pytest.raises(DataError, match="score of detection 1"):
        evaluate_image([good, Detection(good.polygon, bad)], [], IC15, [0.5])
    with pytest.raises(DataError, match="polygon 1 has coordinates that are not finite"):
        evaluate_image([good, Detection(np.full_like(good.polygon, bad), 0.5)], [], IC15, [0.5])


@given(instance_lists, st.sampled_from([IC15, MAXIMUM]))
def test_perfect_detections_of_scattered_words_find_all(instances: list[TextInstance], rule: IouProtocol) -> None:
    scattered = [
        TextInstance(instance.polygon + np.float32(100 * index), None, instance.ignore)
        for index, instance in enumerate(instances)
        if instance.polygon is not None
    ]
    detections = [Detection(instance.polygon, 0.9) for instance in scattered if instance.polygon is not None]
    outcome = evaluate_image(detections, scattered, rule, [0.5]).outcome(0.5)
    assert outcome.false == outcome.missed == ()
    assert outcome.hits == outcome.found


@given(detection_lists, instance_lists, st.randoms(use_true_random=False))
def test_order_does_not_change_the_counts_of_maximum_matching(
    detections: list[Detection], instances: list[TextInstance], random: object
) -> None:
    before = evaluate_image(detections, instances, MAXIMUM, DEFAULT_THRESHOLDS)
    random.shuffle(detections)  # type: ignore[attr-defined]
    random.shuffle(instances)  # type: ignore[attr-defined]
    after = evaluate_image(detections, instances, MAXIMUM, DEFAULT_THRESHOLDS)
    assert after.counts == before.counts


@given(detection_lists, instance_lists, st.sampled_from([0.125, 2.0, 64.0]))
def test_scale_does_not_matter(detections: list[Detection], instances: list[TextInstance], scale: float) -> None:
    """By powers of two, so that not even rounding differs."""
    larger = evaluate_image(
        [Detection(found.polygon * np.float32(scale), found.score) for found in detections],
        [
            word(instance.polygon * np.float32(scale), instance.ignore)
            for instance in instances
            if instance.polygon is not None
        ],
        IC15,
        DEFAULT_THRESHOLDS,
    )
    plain = evaluate_image(detections, instances, IC15, DEFAULT_THRESHOLDS)
    assert larger.matches == plain.matches
    assert larger.excluded.tolist() == plain.excluded.tolist()


@given(detection_lists, instance_lists)
def test_matches_fall_with_the_threshold_and_greedy_never_beats_maximum(
    detections: list[Detection], instances: list[TextInstance]
) -> None:
    most = evaluate_image(detections, instances, MAXIMUM, DEFAULT_THRESHOLDS)
    greedy = evaluate_image(detections, instances, IC15, DEFAULT_THRESHOLDS)
    counts = [len(matches) for matches in most.matches]
    assert counts == sorted(counts, reverse=True)
    assert (np.diff([score.detections for score in most.counts]) <= 0).all()
    for few, many in zip(greedy.matches, most.matches, strict=True):
        assert len(few) <= len(many) <= 2 * len(few)


@given(detection_lists, instance_lists, st.sampled_from([IC15, MAXIMUM]))
def test_sweep_equals_separate_evaluations(
    detections: list[Detection], instances: list[TextInstance], rule: IouProtocol
) -> None:
    sweep = evaluate_image(detections, instances, rule, DEFAULT_THRESHOLDS)
    for threshold in DEFAULT_THRESHOLDS:
        chosen = [index for index, found in enumerate(detections) if found.score >= threshold - 1e-9]
        alone = evaluate_image([detections[index] for index in chosen], instances, rule, [0.0]).outcome(0.0)
        outcome = sweep.outcome(threshold)
        assert outcome.hits == tuple(chosen[index] for index in alone.hits)
        assert outcome.false == tuple(chosen[index] for index in alone.false)
        assert outcome.excluded == tuple(chosen[index] for index in alone.excluded)
        assert outcome.missed == alone.missed
