"""Many images, several engines: everything is read once, failures are counted, too many end the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ocr_engines import MadeUpEngine, write_grey_image
from scenetext.acquisition.command_engine import CommandEngine
from scenetext.acquisition.engine import OcrText
from scenetext.acquisition.journal import Journal
from scenetext.acquisition.recognition import RecognitionSettings, image_names, recognize_all, recognize_images
from scenetext.errors import DataError, EngineError


class CountingEngine:
    """Reads the stem of an image's name, and notes how many of its kind work at the same time."""

    lock = threading.Lock()
    working = most = 0
    closed = 0

    def recognize(self, image: Path) -> Sequence[OcrText]:
        kind = type(self)
        with kind.lock:
            kind.working += 1
            kind.most = max(kind.most, kind.working)
        time.sleep(0.01)
        with kind.lock:
            kind.working -= 1
        if image.stem.startswith("bad"):
            raise EngineError(f"{image}: cannot")
        return [OcrText(image.stem, 1.0)]

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def engine() -> type[CountingEngine]:
    return type("FreshEngine", (CountingEngine,), {})


def write_images(folder: Path, names: Sequence[str]) -> list[str]:
    for name in names:
        write_grey_image(folder / name)
    return image_names(folder)[0]


def test_every_image_is_read_once_by_engines_side_by_side(tmp_path: Path, engine: type[CountingEngine]) -> None:
    names = write_images(tmp_path, [f"{index}.png" for index in range(30)])
    done = list(recognize_all(tmp_path, names, engine, workers=3))
    assert sorted(recognition.name for recognition in done) == names
    assert all(recognition.texts[0].text == Path(recognition.name).stem for recognition in done)
    assert {(recognition.width, recognition.height) for recognition in done} == {(20, 12)}
    assert engine.most == 3
    assert engine.closed == 3


def test_names_are_taken_as_they_are_needed(tmp_path: Path, engine: type[CountingEngine]) -> None:
    write_grey_image(tmp_path / "a.png")
    taken = 0

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield "a.png"

    recognitions = recognize_all(tmp_path, endless(), engine, workers=2)
    for _ in range(5):
        next(recognitions)
    recognitions.close()
    assert taken <= 5 + 2 * 2 + 2
    assert engine.closed == 2


def test_unreadable_files_never_reach_the_engine(tmp_path: Path, engine: type[CountingEngine]) -> None:
    whole = write_grey_image(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-20])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.jpg").touch()
    names, others = image_names(tmp_path)
    assert others == 0
    done = {item.name: item.error for item in recognize_all(tmp_path, [*names, "gone.jpg"], engine, workers=1)}
    assert done.pop("whole.png") is None
    reasons = {"cut.png": "truncated", "text.jpg": "not an image", "empty.jpg": "empty", "gone.jpg": "cannot be read"}
    assert done.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in str(done[name])
        assert name in str(done[name])


def test_what_is_in_the_journal_is_not_read_again(tmp_path: Path) -> None:
    folder, made_up = tmp_path / "images", MadeUpEngine(tmp_path)
    names = write_images(folder, ["A_90.png", "refuse.png", "B_80.png"])
    settings = RecognitionSettings(maximum_failed_share=1)

    def read(retry_failed: bool = False) -> None:
        with Journal(tmp_path / "journal", "made up") as journal:
            recognize_images(folder, names, lambda: CommandEngine(made_up.command), journal, settings, retry_failed)

    read()
    read()
    assert sorted(made_up.asked()) == names
    read(retry_failed=True)
    assert sorted(made_up.asked()) == sorted([*names, "refuse.png"])
    with (folder / "A_90.png").open("ab") as file:
        file.write(b"more")
    read()
    assert made_up.asked().count("A_90.png") == 2, "an image that has changed is read again"


@pytest.mark.parametrize(("share", "passes"), [(0.25, True), (0.2, False)])
def test_too_many_failures_end_the_run(
    tmp_path: Path, engine: type[CountingEngine], share: float, passes: bool
) -> None:
    names = write_images(tmp_path / "p", [*(f"good{index}.png" for index in range(6)), "bad1.png", "bad2.png"])
    settings = RecognitionSettings(maximum_failed_share=share)
    with Journal(tmp_path / "journal", "made up") as journal:
        if passes:
            recognize_images(tmp_path / "p", names, engine, journal, settings)
            assert len(journal) == 8
            return
        with pytest.raises(EngineError, match=r"2 of the first \d of 8 images(.|\n)*bad[12]\.png: cannot"):
            recognize_images(tmp_path / "p", names, engine, journal, settings)
    with Journal(tmp_path / "journal", "made up") as journal, pytest.raises(EngineError, match="2 of the first"):
        recognize_images(tmp_path / "p", names, engine, journal, settings)


def test_an_engine_that_never_works_is_noticed_early(tmp_path: Path, engine: type[CountingEngine]) -> None:
    names = write_images(tmp_path / "p", [f"bad{index}.png" for index in range(40)])
    settings = RecognitionSettings(maximum_failed_share=1)
    with Journal(tmp_path / "journal", "made up") as journal:
        with pytest.raises(EngineError, match="10 of the first 10 of 40"):
            recognize_images(tmp_path / "p", names, engine, journal, settings)
        assert len(journal) == 10


def test_images_are_known_by_their_names(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/c.png", ".hidden.png", ".cache/d.png"):
        write_grey_image(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    assert image_names(tmp_path) == (["a/c.png", "b.JPG"], 1)
    with pytest.raises(DataError, match="is not a folder"):
        image_names(tmp_path / "none")
    (tmp_path / "a" / "only").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        image_names(tmp_path / "a" / "only")
