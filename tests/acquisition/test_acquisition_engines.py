"""Engines as commands: what they answer, and everything that can go wrong with other people's programs."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from damage import with_other_bytes, with_pieces
from ocr_engines import MadeUpEngine
from scenetext.acquisition.command_engine import CommandEngine, parse_answer
from scenetext.acquisition.engine import OcrText, format_text, parse_texts, serve
from scenetext.data.records.format import RecordError
from scenetext.errors import EngineError


@pytest.fixture
def made_up(tmp_path: Path) -> MadeUpEngine:
    return MadeUpEngine(tmp_path)


@pytest.fixture
def engine(made_up: MadeUpEngine) -> Iterator[CommandEngine]:
    engine = CommandEngine(made_up.command)
    yield engine
    engine.close()


def test_one_process_answers_for_all_images(engine: CommandEngine, made_up: MadeUpEngine) -> None:
    first = engine.recognize(Path("/photos/OPEN+DAILY_97-EXIT_50.jpg"))
    assert [(text.text, text.confidence, text.polygon) for text in first] == [
        ("OPEN DAILY", 0.97, None),
        ("EXIT", 0.5, None),
    ]
    assert engine.recognize(Path("/photos/nothing.jpg")) == ()
    assert len(set(made_up.processes())) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("refuse", "refuse.jpg: the engine says: too dark"),
        ("crash", "ended without an answer (exit status 1); the last it said: no memory left for crash"),
        ("garbage", "line 1 of its output is not valid JSON"),
        ("garbage", "Loading the model ..."),
        ("other", "answers for '/photos/other.jpg.jpg', which was not asked for"),
        ("badpolygon", "texts[0]: polygon has 1 points, at least 3 are needed"),
        ("toosure", "texts[0]: confidence must be a number from 0 to 1, got 1.5"),
    ],
)
def test_a_failure_names_image_and_cause_and_costs_one_image(engine: CommandEngine, name: str, message: str) -> None:
    with pytest.raises(EngineError) as error:
        engine.recognize(Path(f"/photos/{name}.jpg"))
    assert f"/photos/{name}.jpg" in str(error.value)
    assert message in str(error.value)
    assert [text.text for text in engine.recognize(Path("/photos/EXIT_90.jpg"))] == ["EXIT"]


def test_an_image_after_others_is_tried_again_before_it_has_failed(
    engine: CommandEngine, made_up: MadeUpEngine
) -> None:
    """The line that "chatty" has too many would be taken for the answer to the next image."""
    engine.recognize(Path("/photos/chatty_80.jpg"))
    assert [text.text for text in engine.recognize(Path("/photos/EXIT_90.jpg"))] == ["EXIT"]
    with pytest.raises(EngineError):
        engine.recognize(Path("/photos/crash.jpg"))
    assert made_up.asked().count("EXIT_90.jpg") == 2
    assert made_up.asked().count("crash.jpg") == 2
    assert len(set(made_up.processes())) == 3


def test_an_engine_that_hangs_is_ended(made_up: MadeUpEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenetext.acquisition.command_engine._SECONDS_TO_END", 0.2)
    engine = CommandEngine(made_up.command, timeout=0.5)
    with pytest.raises(EngineError, match=r"hang\.jpg.*gave no answer in 0\.5 seconds"):
        engine.recognize(Path("/photos/hang.jpg"))
    engine.close()


def test_closing_wakes_a_thread_that_waits(made_up: MadeUpEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenetext.acquisition.command_engine._SECONDS_TO_END", 0.2)
    engine = CommandEngine(made_up.command)
    failures: list[EngineError] = []

    def wait() -> None:
        try:
            engine.recognize(Path("/photos/hang.jpg"))
        except EngineError as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    deadline = time.monotonic() + 30
    while not made_up.asked() and time.monotonic() < deadline:
        time.sleep(0.01)
    engine.close()
    thread.join(30)
    assert len(failures) == 1
    with pytest.raises(EngineError, match="is closed"):
        engine.recognize(Path("/photos/EXIT_90.jpg"))


def test_a_program_that_is_not_there_is_reported_at_once() -> None:
    with pytest.raises(EngineError, match="there is no program 'no-such-ocr'"):
        CommandEngine(["no-such-ocr", "--fast"])
    with pytest.raises(EngineError, match="there is no program ''"):
        CommandEngine([])


def test_a_name_that_is_no_line_is_not_sent(engine: CommandEngine, made_up: MadeUpEngine) -> None:
    for name in ("two\nlines.jpg", "half\udc80.jpg"):
        with pytest.raises(EngineError, match="rename the image"):
            engine.recognize(Path(name))
    assert made_up.asked() == []


def test_no_shell_sees_the_command(tmp_path: Path) -> None:
    target = tmp_path / "made-by-a-shell"
    engine = CommandEngine([sys.executable, "-c", "pass", ";", "touch", str(target), f"$(touch {target})"])
    with pytest.raises(EngineError):
        engine.recognize(Path("/photos/EXIT_90.jpg"))
    assert not target.exists()


class Reader:
    """An engine in Python that knows two images."""

    closed = False

    def recognize(self, image: Path) -> list[OcrText]:
        if image.name == "dark.jpg":
            raise EngineError("too dark")
        return [OcrText("Größe", 0.25, np.array([[0, 0], [9.5, 0], [9, 4]], dtype=np.float32))]

    def close(self) -> None:
        self.closed = True


def test_an_engine_in_python_serves_as_a_command() -> None:
    answers, reader = io.BytesIO(), Reader()
    serve(reader, io.BytesIO("/a/größe.jpg\n/a/dark.jpg\n".encode()), answers)
    first, second = map(json.loads, answers.getvalue().splitlines())
    polygon = [[0, 0], [9.5, 0], [9, 4]]
    assert first == {"path": "/a/größe.jpg", "texts": [{"text": "Größe", "confidence": 0.25, "polygon": polygon}]}
    assert second == {"path": "/a/dark.jpg", "error": "too dark"}
    assert reader.closed


def test_texts_survive_writing_and_reading() -> None:
    texts = [OcrText("A B", 0.123456), OcrText("C", 1, np.array([[0, 0], [1, 0], [1, 1.25]], dtype=np.float32))]
    read = parse_texts(json.loads(json.dumps([format_text(text) for text in texts])))
    assert [(text.text, text.confidence) for text in read] == [("A B", 0.12346), ("C", 1.0)]
    assert read[0].polygon is None
    assert np.array_equal(read[1].polygon, texts[1].polygon)


def test_texts_of_blanks_are_nothing() -> None:
    assert parse_texts([{"text": " \t", "confidence": 1}, {"text": "", "confidence": 0}]) == ()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, "texts must be a list"),
        (["WORD"], r"texts\[0\]: expected an object"),
        ([{"text": "WORD"}], "expected an object with text, confidence"),
        ([{"text": "WORD", "confidence": 1, "score": 1}], "expected an object with text, confidence"),
        ([{"text": None, "confidence": 1}], "text must be a string, got null"),
        ([{"text": 5, "confidence": 1}], "text must be a string"),
        ([{"text": "WORD", "confidence": True}], "confidence must be a number"),
        ([{"text": "WORD", "confidence": float("nan")}], "confidence must be a number"),
        ([{"text": "\ud800", "confidence": 1}], "surrogate"),
    ],
)
def test_texts_that_are_none_are_refused(texts: object, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        parse_texts(texts)


def test_a_damaged_answer_is_refused_or_gives_texts() -> None:
    polygon = [[0, 0], [9.5, 0], [9, 4]]
    answer = {"path": "/a.jpg", "texts": [{"text": "OPEN", "confidence": 0.5, "polygon": polygon}]}
    whole = json.dumps(answer).encode()
    pieces = (b"null", b"-1", b"1e999", b'"', b"]", b"{}", b"NaN", b"true", b'"error"', b"\\ud800", b"9" * 5000)
    refused = 0
    for line in (*with_other_bytes(whole, 5_000), *with_pieces(whole, pieces, 5_000)):
        try:
            texts = parse_answer(line, "/a.jpg")
        except (RecordError, EngineError):
            refused += 1
        else:
            assert all(text.text and 0 <= text.confidence <= 1 for text in texts)
            [format_text(text) for text in texts]
    assert 5_000 < refused < 10_000
