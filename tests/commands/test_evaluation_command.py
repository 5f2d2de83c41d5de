"""Detections of any system, scored from files: the three scores, several sets and rules, everything that is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from checkout import REPOSITORY
from scenetext.commands.detection_journal import JOURNAL, DetectionJournal
from scenetext.commands.evaluation_sets import EvaluationSet
from scenetext.commands.set_scores import Found, Score, by_text_scores, evaluate_set, file_finder, model_finder
from scenetext.data.loading.loader import LoaderSettings
from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.data.transforms.evaluation import EvaluationTransformSettings
from scenetext.data.transforms.training import TrainingTransformSettings
from scenetext.detectors import find_detector
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.errors import DataError
from scenetext.evaluation.files import read_predictions, write_detections
from scenetext.evaluation.files.points import exchanged_axes
from scenetext.evaluation.named_rules import find_protocol
from scenetext.geometry.candidates import count_cut, counted_cuts
from scenetext.structures import Batch, Detection, ImageMeta, ImageRecord, TextInstance
from scenetext.tasks.decoding import Decoder, DecodingPool, DetectionCollector, UndecodedBatch
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.evaluation_settings import EvaluationSettings
from scenetext.tasks.views import ViewMaps


def box(left: float) -> np.ndarray:
    return np.array([(left, 4), (left + 20, 4), (left + 20, 14), (left, 14)], dtype=np.float32)


def records_of(folder: Path, names: list[str]) -> Path:
    """Images of two words each, at 5 and 40."""
    instances = (TextInstance(box(5), "STOP"), TextInstance(box(40), "EXIT"))
    for name in names:
        write_image(folder / name, np.full((24, 96, 3), 99, dtype=np.uint8))
    file = folder / "records.jsonl"
    write_records(file, [ImageRecord(folder / name, 96, 24, instances) for name in names])
    return file


@pytest.fixture
def test_set(tmp_path: Path) -> EvaluationSet:
    return EvaluationSet(
        name="signs",
        records=(records_of(tmp_path / "test", ["img_1.jpg", "img_2.jpg", "img_3.jpg"]),),
        choose_on=(records_of(tmp_path / "other", ["other_1.jpg"]),),
        protocols=(find_protocol("ic15"), find_protocol("totaltext_deteval_psenet"), find_protocol("ic15_end_to_end")),
        threshold=0.5,
        thresholds=(0.3, 0.5, 0.7),
        submission="icdar2015",
    )


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Of img_1 both words and a false one of 0.6; of img_2 one of 0.4; of img_3 nothing; the other set likes 0.7."""
    file = tmp_path / "found.json"
    write_detections(
        file,
        {
            Path("img_1.jpg"): [
                Detection(box(5), 0.9, "stop"),
                Detection(box(40), 0.8, "exlt"),
                Detection(box(70), 0.6, "x"),
            ],
            Path("img_2.jpg"): [Detection(box(5), 0.4, "STOP")],
            Path("other_1.jpg"): [Detection(box(5), 0.9), Detection(box(40), 0.8), Detection(box(70), 0.6)],
            Path("elsewhere.jpg"): [],
        },
    )
    return file


def test_three_scores_are_reported_separately(test_set: EvaluationSet, predictions: Path, tmp_path: Path) -> None:
    find = file_finder(read_predictions(predictions), predictions)
    report = evaluate_set(test_set, find, tmp_path / "results", pictures=2)
    ic15 = report.content["protocols"]["ic15"]
    rows = {
        key: (row["threshold"], row["found"], row["detections"], row["ground_truths"])
        for key, row in ic15["reported"].items()
        if key != "chosen_on"
    }
    assert rows == {
        "at_config_threshold": (0.5, 2, 3, 6),
        "at_chosen_threshold": (0.7, 2, 2, 6),
        "best_on_this_set": (0.3, 3, 4, 6),
    }
    assert ic15["reported"]["chosen_on"] == str(test_set.choose_on[0])
    assert "| threshold of the config | 0.5 | 66.7 | 33.3 | 44.4 |" in report.text
    assert f"| threshold chosen on {test_set.choose_on[0]} | 0.7 | 100.0 | 33.3 | 50.0 |" in report.text
    assert "| best on this set (threshold chosen on the test images) | 0.3 | 75.0 | 50.0 | 60.0 |" in report.text
    assert report.text.count("Protocol ") == 3
    deteval = report.content["protocols"]["totaltext_deteval_psenet"]
    assert (deteval["images"], deteval["missing_images_left_out"]) == (2, 1)
    assert report.content["protocols"]["ic15_end_to_end"]["reported"]["at_config_threshold"]["found"] == 1
    assert any("1 images have no result in" in remark and "img_3.jpg" in remark for remark in report.content["remarks"])
    assert any("2 names mean no image of signs" in remark for remark in report.content["remarks"])


def test_what_is_written_for_a_set(test_set: EvaluationSet, predictions: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    find = file_finder(read_predictions(predictions), predictions)
    evaluate_set(test_set, find, folder, pictures=2)
    lines = [json.loads(line) for line in (folder / "per_image.jsonl").read_text().splitlines()]
    assert len(lines) == 3 + 2 + 3, "by every rule its images"
    first = lines[0]
    assert (Path(first["path"]).name, first["protocol"], first["threshold"]) == ("img_1.jpg", "ic15", 0.7)
    assert (first["found"], first["detections"], first["missed_instances"]) == (2, 2, [])
    assert lines[1]["missed_instances"] == [0, 1]
    assert len(list((folder / "worst").iterdir())) == 2
    assert (folder / "worst.jpg").is_file()
    submitted = read_predictions(folder / "submission.zip", "polygon,text")
    assert {name: [found.text for found in each] for name, each in submitted.items()} == {
        "img_1": ["stop", "exlt"],
        "img_2": [],
        "img_3": [],
    }


def test_a_threshold_is_not_chosen_on_the_test_images(
    test_set: EvaluationSet, predictions: Path, tmp_path: Path
) -> None:
    find = file_finder(read_predictions(predictions), predictions)
    with pytest.raises(DataError, match=r"3 images, such as img_1\.jpg, are in signs too"):
        evaluate_set(replace(test_set, choose_on=test_set.records), find, tmp_path / "results", pictures=0)


def test_files_with_y_before_x_get_a_remark_only_where_that_explains_a_score_near_zero(
    test_set: EvaluationSet, tmp_path: Path
) -> None:
    alone = replace(test_set, choose_on=(), submission=None)
    right, wrong = ([Detection(box(left), 0.9) for left in lefts] for lefts in ((5, 40), (70,)))
    remarks = {}
    for name, found in (("right", right), ("exchanged", exchanged_axes(right)), ("wrong", wrong)):
        find = file_finder({f"img_{number}": found for number in (1, 2, 3)}, Path(name))
        remarks[name] = evaluate_set(alone, find, tmp_path / name, pictures=0).content["remarks"]
    assert remarks["right"] == remarks["wrong"] == []
    (remark,) = remarks["exchanged"]
    assert remark.startswith("with x and y exchanged, hmean would be 100.0 instead of 0.0")
    assert "--axes yx" in remark


def cutting(decode: Callable[..., list[list[Detection]]]) -> Callable[..., list[list[Detection]]]:
    """A decoding that has seven candidates more than it may look at."""

    def decode_some(*arguments: Any) -> list[list[Detection]]:
        count_cut(7)
        return decode(*arguments)

    return decode_some


def test_cuts_in_other_processes_are_counted_where_results_are_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Decoder(cutting(lambda maps, config: [[]]), None, 0.5)
    meta = ImageMeta(Path("a.jpg"), (8, 8), np.eye(3), (8, 8))
    pool = DecodingPool(decoder, 1)
    monkeypatch.setattr(pool, "_executor", ThreadPoolExecutor(1))
    batch = Batch(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), {}, (meta,))
    found: dict[Path, list[Detection]] = {}
    with counted_cuts() as cuts:
        collector = DetectionCollector(found.__setitem__, pool)
        collector.update(batch, UndecodedBatch((ViewMaps({"probability": torch.zeros(1, 8, 8)}, np.eye(3)),)))
        collector.finish()
    assert found == {meta.path: []}
    assert (cuts.times, cuts.candidates) == (1, 7)


def small_task() -> DetectionTask:
    spec = find_detector("dbnet")
    return DetectionTask(
        ClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=8)),
        spec,
        spec.config(inner_channels=8, level_channels=4),
        TrainingTransformSettings(size=(64, 64)),
        EvaluationTransformSettings(long_side=96, short_side=96),
        EvaluationSettings(),
    )


def test_an_evaluation_that_was_cut_short_goes_on_and_gives_the_same(
    test_set: EvaluationSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of four images (three of the set, one to choose a threshold on) one cannot be read, which is not remembered."""
    task, seen, limit = small_task(), [], 2
    probabilities = np.full((1, 3), 1 / 3, np.float32)
    word = Detection(box(5) + np.float32(1 / 3), 0.5 + 1 / 3, "A", 1 / 3, probabilities)
    (test_set.records[0].parent / "img_2.jpg").write_bytes(b"no image")

    def detect(batch: Batch) -> list[list[Detection]]:
        if len(seen) == limit:
            raise KeyboardInterrupt
        seen.extend(meta.path.name for meta in batch.metas)
        return [[word] for _ in batch.metas]

    def score(folder: str, checkpoint: str) -> dict[str, Any]:
        loader = LoaderSettings(workers=0, evaluation_batch_size=1)
        find = model_finder(task, torch.device("cpu"), loader, seed=0, made_by={"checkpoint": checkpoint})
        return evaluate_set(test_set, find, tmp_path / folder, pictures=0).content

    monkeypatch.setattr(task, "detect", detect)
    with pytest.raises(KeyboardInterrupt):
        score("one", "a")
    assert seen == ["img_1.jpg", "img_2.jpg"]
    limit = 99
    content = score("one", "a")
    assert seen[2:] == ["img_2.jpg", "img_3.jpg", "other_1.jpg"], "the one that could not be read is looked at again"
    resumed = "1 images were done already, by a run with the same detector and settings that was cut short"
    assert resumed in content["remarks"]
    whole = score("two", "a")
    assert content["protocols"] == whole["protocols"], "to the last digit"
    assert sum("skipped image" in remark for remark in content["remarks"]) == 1
    with DetectionJournal(
        tmp_path / "two" / JOURNAL, json.loads((tmp_path / "two" / JOURNAL).read_text().partition("\n")[0])
    ) as kept:
        (again,) = kept.done[test_set.records[0].parent / "img_1.jpg"]
    assert again.character_probabilities is not None
    np.testing.assert_array_equal(again.character_probabilities, probabilities)
    np.testing.assert_array_equal(again.polygon, word.polygon)
    assert (again.score, again.text, again.text_score) == (word.score, word.text, word.text_score)
    seen.clear()
    score("two", "b")
    assert len(seen) == 4, "another checkpoint detects again"


def test_a_detector_sees_every_set_in_its_own_size(
    test_set: EvaluationSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And the next set without a size in that of the run."""
    task = small_task()
    widths = []

    def maps(images: torch.Tensor) -> dict[str, torch.Tensor]:
        widths.append(images.shape[-1])
        return {"probability": images[:, 0].float() - 300}

    monkeypatch.setattr(task, "maps", maps)
    monkeypatch.setattr(task, "decoder", replace(task.decoder, decode=cutting(task.decoder.decode)))
    loader = LoaderSettings(workers=0, evaluation_batch_size=4)
    find = model_finder(task, torch.device("cpu"), loader, seed=0, made_by={})
    larger = replace(test_set, choose_on=(), test_size=EvaluationTransformSettings(long_side=192, short_side=192))
    report = evaluate_set(larger, find, tmp_path / "larger", pictures=0)
    assert report.content["protocols"]["ic15"]["reported"]["at_config_threshold"]["ground_truths"] == 6
    evaluate_set(replace(larger, test_size=None), find, tmp_path / "plain", pictures=0)
    assert widths == [192, 96]
    (remark,) = report.content["remarks"][:1]
    assert remark.startswith("more candidates than the detector looks at, 1 times: 7 of them"), "in the summary, too"
    assert remark in report.text


def test_command_scores_files_of_several_sets(test_set: EvaluationSet, predictions: Path, tmp_path: Path) -> None:
    command = (
        *(sys.executable, "tools/evaluate.py", "--predictions", predictions),
        *("--dataset", f"signs={test_set.records[0]}"),
        *("--dataset", f"others={test_set.choose_on[0]}"),
        *("--protocol", "ic15", "--protocol", "ctw_voc", "--output", tmp_path / "results", "--pictures", "1"),
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        list(map(str, command)), cwd=REPOSITORY, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "## signs: " in done.stdout
    written = json.loads((tmp_path / "results" / "evaluation.json").read_text())
    assert list(written["datasets"]) == ["signs", "others"]
    assert list(written["datasets"]["others"]["protocols"]) == ["ic15", "ctw_voc"]
    reported = written["datasets"]["others"]["protocols"]["ic15"]["reported"]
    assert reported["at_config_threshold"]["threshold"] == 0.0, "all that is in the file"
    assert (tmp_path / "results" / "others" / "per_image.jsonl").is_file()


@pytest.mark.parametrize(
    ("least", "score", "scores", "remarks"),
    [
        (None, "detection", [0.9, 0.5], []),
        (0.6, "detection", [0.9], ["1 detections with a text score below 0.6 were dropped"]),
        (None, "text", [0.8, 0.4], ["scores are those of: text"]),
        (
            0.4,
            "product",
            [0.72, 0.2],
            ["0 detections with a text score below 0.4 were", "scores are those of: product"],
        ),
    ],
)
def test_uncertain_texts_are_dropped_and_scores_may_be_theirs(
    test_set: EvaluationSet, least: float | None, score: Score, scores: list[float], remarks: list[str]
) -> None:
    path = Path("img_1.jpg")
    found = [Detection(box(5), 0.9, "stop", 0.8), Detection(box(40), 0.5, "exlt", 0.4)]
    find = by_text_scores(lambda *_: Found({path: found}), least, score)
    given = find((), test_set, Path())
    assert [one.score for one in given.detections[path]] == pytest.approx(scores)
    assert [one.text_score for one in given.detections[path]] == [0.8, 0.4][: len(scores)], "as it was"
    assert [one.startswith(remark) for one, remark in zip(given.remarks, remarks, strict=True)] == [True] * len(remarks)


def test_texts_without_a_score_cannot_be_chosen_by_it(test_set: EvaluationSet, predictions: Path) -> None:
    find = by_text_scores(file_finder(read_predictions(predictions), predictions), 0.5, "detection")
    with pytest.raises(DataError, match="a detection has no text score; --text-threshold and --score need one"):
        evaluate_set(test_set, find, predictions.parent / "scores", 0)
