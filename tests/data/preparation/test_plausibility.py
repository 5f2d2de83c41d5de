"""A set that is a mistake as a whole is named with its cause by preparation, check, training and evaluation alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dataset_files import HEIGHT, POINTS, WIDTH, write_json, write_photo, write_text
from scenetext.commands import run_words
from scenetext.commands.evaluation_sets import EvaluationSet
from scenetext.commands.set_scores import evaluate_set, file_finder
from scenetext.data.preparation.checks import check_records, verdict
from scenetext.data.preparation.plausibility import Use, count_text, doubts, refuse_implausible, sum_of
from scenetext.data.records.files import RecordFile, write_records
from scenetext.errors import DataError
from scenetext.evaluation.named_rules import find_protocol
from scenetext.runs.data import read_run_records
from scenetext.runs.usable import refuse_all_skipped
from scenetext.structures import Detection, ImageRecord, SkippedImage, TextInstance
from scenetext.text.charset import CharacterSet
from small_runs import make_run, make_set

SQUARE = np.array(POINTS, dtype=np.float32)
SHARES = SQUARE / (WIDTH, HEIGHT)
FAR = SQUARE + np.float32([5 * WIDTH, 0])


def record(*instances: TextInstance, path: Path = Path("a.jpg")) -> ImageRecord:
    return ImageRecord(path, WIDTH, HEIGHT, instances)


def word(polygon: np.ndarray | None, text: str | None, ignore: bool = False) -> TextInstance:
    return TextInstance(polygon, text, ignore)


SETS: dict[str, tuple[list[TextInstance], str, set[Use]]] = {
    "nothing": ([], "no image has any text", {"detection", "reading"}),
    "all ignored": (
        [word(SQUARE, "A", ignore=True)] * 2,
        "every one of the 2 instances is marked as ignored",
        {"detection", "reading"},
    ),
    "no polygon": ([word(None, "A"), word(None, "B")], "none of the 2 words has a polygon", {"detection"}),
    "no text": ([word(SQUARE, None)], "none of the 1 words has a text", {"reading"}),
    "shares of the size": (
        [word(SHARES, "A"), word(SHARES / 2, "B"), word(None, "C")],
        "all 2 polygons are smaller than a pixel: their coordinates seem to be shares",
        {"detection"},
    ),
    "other images": (
        [word(FAR, "A"), word(FAR + np.float32(9), "B"), word(SQUARE, "C", ignore=True)],
        "all 2 polygons lie outside their images: were the images resized",
        {"detection"},
    ),
    "a class": ([word(SQUARE, "word")] * 4, "each of the 4 texts is 'word': names of classes", set()),
    "two classes": (
        [word(SQUARE, "word"), word(SQUARE, "line")] * 4,
        "each of the 8 texts is 'line', 'word': names of classes",
        set(),
    ),
}


@pytest.mark.parametrize(("instances", "cause", "spoils"), SETS.values(), ids=SETS.keys())
def test_what_is_implausible_is_named_with_its_cause(
    instances: list[TextInstance], cause: str, spoils: set[Use]
) -> None:
    (doubt,) = doubts(count_text([record(*instances)]))
    assert doubt.cause.startswith(cause)
    assert set(doubt.spoils) == spoils
    uses: tuple[Use, ...] = ("detection", "reading")
    for use in uses:
        if use in spoils:
            with pytest.raises(DataError, match="for training in x"):
                refuse_implausible(count_text([record(*instances)]), use, "training in x")
        else:
            refuse_implausible(count_text([record(*instances)]), use, "training in x")


PLAUSIBLE = {
    "one polygon inside": [word(SHARES, "A"), word(FAR, "B"), word(SQUARE, "C")],
    "one word alone": [word(SQUARE, "STOP")] * 3,
    "a few words, not often": [word(SQUARE, text) for text in "AABBC"],
    "many words": [word(SQUARE, text) for text in "ABCD" * 20],
}


@pytest.mark.parametrize("instances", PLAUSIBLE.values(), ids=PLAUSIBLE.keys())
def test_what_could_be_meant_raises_no_doubt(instances: list[TextInstance]) -> None:
    assert doubts(count_text([record(*instances)])) == []


def test_several_sets_are_judged_together() -> None:
    sets = [count_text([record(*instances)]) for instances, _, _ in SETS.values()]
    together = count_text([record(*instances) for instances, _, _ in SETS.values()])
    assert sum_of(sets) == together
    assert sum_of([]) == count_text([])
    few = [count_text([record(word(SQUARE, text))]) for text in "ABB"]
    assert sum_of(few).texts == ("A", "B")


def test_check_refuses_mistakes_and_warns_of_what_has_a_use(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.jpg")
    verdicts = {}
    for name, (instances, _, _) in SETS.items():
        write_records(tmp_path / f"{name}.jsonl", [record(*instances, path=tmp_path / "a.jpg")])
        verdicts[name] = verdict(check_records(RecordFile(tmp_path / f"{name}.jsonl")))
    mistakes = {name for name, text in verdicts.items() if text != "usable"}
    assert mistakes == {"all ignored", "shares of the size", "other images"}
    assert verdicts["shares of the size"].startswith("NOT USABLE as it is: all 2 polygons are smaller than a pixel")


def rewrite(path: Path, *change: TextInstance) -> None:
    """Gives every image of a set these words instead."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    records = [ImageRecord(path.parent / line["path"], line["width"], line["height"], change) for line in lines]
    write_records(path, records)


@pytest.mark.parametrize("is_checked", [True, False], ids=["checked", "unchecked"])
@pytest.mark.parametrize("name", ["no polygon", "shares of the size", "nothing"])
@pytest.mark.parametrize("part", ["training", "validation"])
def test_no_detector_is_trained_on_a_mistake(tmp_path: Path, name: str, part: str, is_checked: bool) -> None:
    instances, cause, _ = SETS[name]
    path = make_set(tmp_path, "a", 2)
    run = make_run("detection", tmp_path, [str(path)], check=is_checked)
    read_run_records(run, None)
    spoiled = path if part == "training" else tmp_path / "validation.jsonl"
    rewrite(spoiled, *instances)
    with pytest.raises(DataError, match=rf"for {part} in .*{spoiled.name}"):
        read_run_records(run, None)
    assert cause


def test_validation_without_texts_is_refused_where_they_are_scored(tmp_path: Path) -> None:
    path = make_set(tmp_path, "a", 2)
    run = make_run("detection", tmp_path, [str(path)])
    rewrite(tmp_path / "validation.jsonl", word(SQUARE, None))
    read_run_records(run, None)
    scored = run.model_copy(update={"evaluation": run.evaluation.model_copy(update={"protocol": "ic15_end_to_end"})})
    with pytest.raises(DataError, match="none of the 2 words for validation in .* has a text"):
        read_run_records(scored, None)


def test_images_without_text_are_fine_beside_others(tmp_path: Path) -> None:
    path, empty = make_set(tmp_path, "a", 2), make_set(tmp_path, "empty", 2)
    rewrite(empty)
    data = read_run_records(make_run("detection", tmp_path, [str(path), str(empty)]), None)
    assert len(data.training) == 4


def test_a_pretraining_warns_of_names_of_classes(tmp_path: Path) -> None:
    path = make_set(tmp_path, "a", 4)
    remarks = read_run_records(make_run("pretraining", tmp_path, [str(path)]), CharacterSet.english()).remarks
    assert any(remark.startswith(f"warning: {path}: each of the 4 texts is 'word'") for remark in remarks)


@pytest.mark.parametrize(
    ("protocol", "instances", "message"),
    [
        ("ic15", [word(SHARES, "A")], "all 1 polygons for evaluation in .* are smaller than a pixel"),
        ("ic15", [], "no image for evaluation in .* has any text"),
        ("ic15_end_to_end", [word(SQUARE, None)], "none of the 1 words for evaluation in .* has a text"),
    ],
)
def test_nothing_is_measured_on_a_mistake(
    tmp_path: Path, protocol: str, instances: list[TextInstance], message: str
) -> None:
    write_records(tmp_path / "a.jsonl", [record(*instances, path=tmp_path / "a.jpg")])
    measured = EvaluationSet("x", (tmp_path / "a.jsonl",), (), (find_protocol(protocol),), 0.5, (0.5,))
    find = file_finder({"a": [Detection(SQUARE, 1.0)]}, tmp_path)
    with pytest.raises(DataError, match=message):
        evaluate_set(measured, find, tmp_path / "out", 0)


def test_nothing_is_measured_on_images_that_are_all_missing() -> None:
    gone = SkippedImage(Path("a.jpg"), "a.jpg: image cannot be read (No such file or directory)")
    refuse_all_skipped([gone], 2, "evaluation (x)")
    with pytest.raises(DataError, match=r"none of the 2 images for evaluation \(x\) can be read; the first: a\.jpg: "):
        refuse_all_skipped([gone, gone], 2, "evaluation (x)")


def labelme_of_one_class(folder: Path) -> None:
    shape = {"label": "word", "points": POINTS, "shape_type": "polygon"}
    for name in "ab":
        write_photo(folder / f"{name}.jpg")
        write_json(folder / f"{name}.json", {"imagePath": f"{name}.jpg", "shapes": [shape, shape]})


def ppocrlabel_all_difficult(folder: Path) -> None:
    write_photo(folder / "a.jpg")
    words = [{"transcription": text, "points": POINTS, "difficult": True} for text in "AB"]
    write_text(folder / "Label.txt", f"a.jpg\t{json.dumps(words)}\n")


@pytest.mark.parametrize(
    ("name", "build", "warning", "code"),
    [
        ("labelme", labelme_of_one_class, "warning: each of the 4 texts is 'word': names of classes", 0),
        ("ppocrlabel", ppocrlabel_all_difficult, "every one of the 2 instances is marked as ignored", 1),
    ],
    ids=["labelme", "ppocrlabel"],
)
def test_preparation_and_check_print_the_same_cause(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    build: Callable[[Path], None],
    warning: str,
    code: int,
) -> None:
    build(tmp_path / "mine")
    assert not run_words(["prepare", name, "--source", str(tmp_path / "mine"), "--output", str(tmp_path / "out")])
    assert warning in capsys.readouterr().out
    assert run_words(["prepare", "check", str(tmp_path / "out" / "all.jsonl")]) == code
    assert warning in capsys.readouterr().out
