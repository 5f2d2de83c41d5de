"""The pages on which an image is dropped: what they show, and both in a real browser."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from headless_browser import console_errors, headless_browser
from scenetext.commands import app
from scenetext.commands.command_line import CommandParser
from scenetext.data.records.images import write_image
from scenetext.errors import ConfigError
from scenetext.inspection.predictions import examine
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.runs.build import build_task
from scenetext.structures import Detection
from scenetext.tasks.detection import DetectionTask
from small_runs import WORD, make_run

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CPU = torch.device("cpu")
ATTACK = "<img src=x onerror=alert(1)>"
FOUND = [Detection(WORD, 0.9, "STOP", 0.8), Detection(WORD + 40, 0.6, ATTACK), Detection(WORD + 80, 0.3)]
PATIENCE = 240.0
"""Seconds, on a machine that has much else to do."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("app") / "sign.png"
    write_image(path, np.full((160, 200, 3), 120, dtype=np.uint8))
    return path


def test_all_maps_of_a_detector_are_shown(tmp_path: Path) -> None:
    task = build_task(make_run("detection", tmp_path, []))
    assert isinstance(task, DetectionTask)
    image = np.random.default_rng(0).integers(0, 256, (48, 96, 3), dtype=np.uint8)
    found, panels = examine(task, image, CPU)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    titles = [title for title, _ in panels]
    assert any(title.startswith("probability") for title in titles)
    assert all(picture.dtype == np.uint8 and picture.shape[2] == 3 for _, picture in panels)


def test_without_gradio_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    parser = CommandParser()
    app.add_arguments(parser)
    with pytest.raises(ConfigError, match=re.escape("pip install scenetext[app]")):
        app.run(parser.read(["anything.pt"]))


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    pytest.importorskip("gradio", reason="gradio is not installed (extra app)")
    with headless_browser() as browser:
        yield browser


def until(browser: Chrome, script: str, holds: Callable[[str], object]) -> str:
    """What a script returns as soon as that holds."""
    end = time.monotonic() + PATIENCE
    while True:
        value = str(browser.execute_script(script) or "")
        if holds(value):
            return value
        assert time.monotonic() < end, f"still {value!r}"
        time.sleep(0.1)


@contextmanager
def dropped(browser: Chrome, blocks: Any, image: Path) -> Iterator[None]:
    """Within, the browser shows a page on which the image was dropped; it leaves before the server ends."""
    from scenetext.inspection.app import serve

    browser.get(serve(blocks, "127.0.0.1", 0))
    try:
        inputs = "return document.querySelectorAll('input[type=file]').length"
        until(browser, inputs, lambda count: int(count or 0))
        browser.find_element("css selector", "input[type=file]").send_keys(str(image))
        yield
        assert console_errors(browser) == []
    finally:
        browser.get("about:blank")
        blocks.close()


COUNT = "return document.querySelector('#count')?.innerText"


def set_threshold(browser: Chrome, value: str) -> None:
    box = browser.find_element("css selector", "#threshold input[type=number]")
    box.clear()
    box.send_keys(value, "\ue004")  # Tab


@pytest.mark.slow
def test_the_threshold_changes_what_counts(
    browser: Chrome, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is asked once; words are shown as text."""
    from scenetext.inspection.app import detection_app

    asked = []

    def stand_in(task: object, pixels: np.ndarray, device: torch.device) -> tuple[list[Detection], list[tuple]]:
        asked.append(pixels.shape)
        return FOUND, [("probability", pixels)]

    monkeypatch.setattr("scenetext.inspection.app.examine", stand_in)
    task = build_task(make_run("detection", tmp_path, []))
    assert isinstance(task, DetectionTask)
    blocks = detection_app(task, CPU, 0.5, "a model")
    with dropped(browser, blocks, image):
        first = until(browser, COUNT, lambda text: "score of" in text)
        assert first == "2 texts with a score of 0.5 or more, of 3 detected"
        until(browser, "return document.body.innerText", lambda text: "STOP" in text and ATTACK in text)
        set_threshold(browser, "0.7")
        until(browser, COUNT, lambda text: text == "1 text with a score of 0.7 or more, of 3 detected")
        set_threshold(browser, "0.2")
        until(browser, COUNT, lambda text: text == "3 texts with a score of 0.2 or more, of 3 detected")
        assert asked == [(160, 200, 3)]
        assert browser.execute_script("return document.querySelectorAll('#maps img').length") >= 1
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
        assert all("//127.0.0.1" in one for one in loaded), "nothing comes from elsewhere"


@pytest.mark.slow
def test_typed_words_show_where_a_pretrained_model_looks(browser: Chrome, image: Path, tmp_path: Path) -> None:
    from scenetext.inspection.app import attention_app
    from scenetext.runs.kinds import read_characters

    run = make_run("pretraining", tmp_path, [])
    task = build_task(run, True, read_characters(run))
    assert isinstance(task, OclipTask)
    blocks = attention_app(task, CPU, False, "a model")
    with dropped(browser, blocks, image):
        until(browser, "return document.querySelectorAll('#maps img').length", lambda count: int(count or 0) >= 1)
        browser.find_element("css selector", "#words textarea").send_keys("ST LING")
        browser.find_element("css selector", "#look").click()
        read = "return document.querySelector('#read textarea')?.value"
        assert re.fullmatch(r'"ST LING": . \(\d+%\)', until(browser, read, bool))
        browser.find_element("css selector", "#words textarea").send_keys("\ue003" * 7, "STERLING")  # Backspace
        browser.find_element("css selector", "#look").click()
        until(browser, "return document.body.innerText", lambda text: "must have exactly one blank" in text)
