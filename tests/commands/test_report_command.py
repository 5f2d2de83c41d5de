"""`scenetext report`: what it evaluates itself, what it takes from earlier evaluations, and its page in a browser."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from headless_browser import console_errors, headless_browser
from scenetext.commands import report
from scenetext.commands.command_line import CommandParser
from scenetext.commands.detection_journal import STORED, DetectionJournal, made_by
from scenetext.commands.run_reports import make_report
from scenetext.commands.set_scores import in_test_size
from scenetext.config import dump_yaml
from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.errors import ConfigError, DataError
from scenetext.runs.build import build_task, describe_run
from scenetext.runs.kinds import read_characters
from scenetext.structures import Detection, ImageRecord, TextInstance
from scenetext.training.checkpoint import save_checkpoint
from scenetext.training.log import RunLog
from small_runs import WORD, make_run, make_set

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ATTACK = "<script>document.title='run'</script><img src=x onerror=alert(1)>"


def run_folder(folder: Path, name: str, kind: str = "detection", steps: int = 3) -> Path:
    """A run that ended: settings, log and, where `steps` are not 0, the random weights of best.pt."""
    run = make_run(kind, folder, [str(make_set(folder, "train", 2))], check=False)
    output = folder / name
    with RunLog(output, 0, 9, name, quiet=True) as log:
        for step in range(3, 10, 3):
            log.metrics("train", step, {"loss": 9.0 - step, "probability": 1 / step, "learning_rate": 1e-3})
            log.metrics("evaluation", step, {"hmean": step / 10})
    (output / "config.yaml").write_text(dump_yaml(run).replace("epochs: 3", f"epochs: {len(name)}"))
    if steps:
        characters = read_characters(run)
        content = {**describe_run(run, characters), "model": build_task(run, True, characters).state_dict()}
        save_checkpoint(output / "best.pt", {**content, "step": steps, "figures": {}})
    return output


def arguments_of(*words: object) -> argparse.Namespace:
    parser = CommandParser()
    report.add_arguments(parser)
    return parser.read([*map(str, words), "--workers", "0", "--device", "cpu"])


def content_of(page: Path) -> dict[str, Any]:
    block = re.search(r'type="application/json">(.*?)</script>', page.read_text(), flags=re.DOTALL)
    assert block is not None
    return json.loads(block[1])


def test_a_run_is_evaluated_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_folder(tmp_path, "run")
    lines = make_report(arguments_of(run))
    assert lines[-1].startswith(f"page: {run / 'report.html'} (")
    assert lines[-1].endswith(" MB, 2 images)")
    assert "looking at up to 2 images" in capsys.readouterr().err
    journal = (run / "report" / STORED).read_text().splitlines()
    assert len(journal) == 3, "what made them, and two images"
    content = content_of(run / "report.html")
    assert content["runs"][0]["sweep"][0][0] == 0.05
    assert "On all 2 images." in content["rule"]
    whole = [{"polygon": WORD.tolist(), "score": 0.9}]
    changed = [json.dumps({**json.loads(line), "detections": whole}) for line in journal[1:]]
    (run / "report" / STORED).write_text("\n".join([journal[0], *changed]) + "\n")
    make_report(arguments_of(run))
    assert content_of(run / "report.html")["runs"][0]["sweep"][0][3] == 1.0, "kept detections are used"


def test_another_checkpoint_is_looked_at_again(tmp_path: Path) -> None:
    run = run_folder(tmp_path, "run")
    make_report(arguments_of(run, "--limit", 1))
    before = (run / "report" / STORED).read_text().splitlines()
    run_folder(tmp_path, "run", steps=4)
    make_report(arguments_of(run, "--limit", 1))
    after = (run / "report" / STORED).read_text().splitlines()
    assert before[0] != after[0]
    assert len(after) == 2
    assert "On 1 of 2 images, evenly spaced." in content_of(run / "report.html")["rule"]


def test_runs_without_detections_have_curves_and_settings(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path, "early", steps=0), run_folder(tmp_path, "words", "pretraining")]
    make_report(arguments_of(*runs, "--output", tmp_path / "page.html"))
    content = content_of(tmp_path / "page.html")
    assert content["images"] == []
    assert [one["name"] for one in content["curves"]][:2] == ["evaluation/hmean", "train/loss"]
    assert ["kind", ['"detection"', '"pretraining"']] in content["settings"]["different"]
    assert all("sweep" not in one for one in content["runs"])


def test_what_cannot_be_reported_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a run folder"):
        make_report(arguments_of(tmp_path / "nowhere"))
    run = run_folder(tmp_path, "run")
    with pytest.raises(ConfigError, match="must end in .html"):
        make_report(arguments_of(run, "--output", tmp_path / "page.pdf"))
    with pytest.raises(ConfigError, match="did you mean ic15"):
        make_report(arguments_of(run, "--protocol", "ic51"))
    with pytest.raises(SystemExit):
        report.run(arguments_of(run, "--limit", 0))


def word(left: float, height: float = 12) -> np.ndarray:
    return np.array([(left, 20), (left + 60, 20), (left + 60, 20 + height), (left, 20 + height)], dtype=np.float32)


def keep(run: Path, detections: dict[Path, list[Detection]]) -> None:
    """Detections as `scenetext evaluate` leaves them."""
    size = make_run("detection", run.parent, []).evaluation_transform
    made = in_test_size(made_by(run / "best.pt", []), size)
    with DetectionJournal(run / "evaluation" / STORED, made) as journal:
        for path, found in detections.items():
            journal.add(path, found)


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two runs on two datasets: "clean" has no error with `first` and two with `second`; in "busy" `first`
    misses a small word and `second` makes two false detections; "attack" has a text that is markup."""
    folder = tmp_path_factory.mktemp("report")
    texts = {
        "clean": [(word(10), "STOP")],
        "busy": [(word(10), "A"), (word(100), "B")],
        "attack": [(word(10, 60), ATTACK)],
    }
    records = []
    for name, words in texts.items():
        write_image(folder / f"{name}.png", np.full((120, 240, 3), 90, dtype=np.uint8))
        instances = tuple(TextInstance(polygon, text) for polygon, text in words)
        records.append(ImageRecord(folder / f"{name}.png", 240, 120, instances))
    write_records(folder / "street.jsonl", records[:2])
    write_records(folder / "shop.jsonl", records[2:])
    clean, busy, attack = (record.path for record in records)
    false = [Detection(word(170), 0.9), Detection(word(170, 90), 0.6)]
    whole = {clean: [Detection(word(10), 0.9)], attack: [Detection(word(10, 60), 0.9, ATTACK)]}
    runs = [run_folder(folder, name) for name in ("first", "second")]
    keep(runs[0], {**whole, busy: [Detection(word(10), 0.8)]})
    keep(runs[1], {**whole, clean: false, busy: [Detection(word(10), 0.9), Detection(word(100), 0.9), *false]})
    page = folder / "page.html"
    lines = make_report(
        arguments_of(*runs, "--records", folder / "street.jsonl", folder / "shop.jsonl", "--output", page)
    )
    assert sum("detections in 3 images are those in" in line for line in lines) == 2
    return page


@pytest.fixture(scope="module")
def browser(two_runs: Path) -> Iterator[Chrome]:
    with headless_browser() as browser:
        browser.get(two_runs.as_uri())
        yield browser


def choose(browser: Chrome, control: str, value: str) -> list[str]:
    """Sets a control of the gallery; the names of the images that are shown then, in order."""
    script = """
        const [id, value] = arguments, control = document.getElementById(id);
        control.value = value;
        if (control.value !== value) throw new Error(`${id} has no ${value}`);
        control.dispatchEvent(new Event("input"));
        return [...document.querySelectorAll(".image")].map(one => one.dataset.name.replace(".png", ""));
    """
    return browser.execute_script(script, control, value)


def counts(browser: Chrome, name: str) -> list[str]:
    return texts(browser, f".image[data-name='{name}.png'] .count")


def texts(browser: Chrome, selector: str) -> list[str]:
    """The texts of all elements, also of those that are not visible."""
    script = "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)"
    return browser.execute_script(script, selector)


def test_images_are_sorted_and_filtered(browser: Chrome) -> None:
    assert choose(browser, "order", "most errors of first first")[0] == "busy"
    assert choose(browser, "order", "most errors of second first") == ["clean", "busy", "attack"]
    assert choose(browser, "order", "fewest errors of second first")[0] == "attack"
    assert choose(browser, "order", "first better than second")[0] == "clean"
    assert choose(browser, "order", "as in the records") == ["clean", "busy", "attack"]
    assert choose(browser, "dataset", "shop") == ["attack"]
    assert choose(browser, "dataset", "all") == ["clean", "busy", "attack"]
    assert choose(browser, "outcome", "with misses") == ["clean", "busy"]
    assert choose(browser, "height", "over 48 pixels") == []
    assert choose(browser, "outcome", "with false detections") == ["clean", "busy"], "false ones are 90 pixels high"
    assert choose(browser, "outcome", "without errors") == ["attack"]
    assert choose(browser, "height", "any") == ["attack"]
    assert choose(browser, "outcome", "all images") == ["clean", "busy", "attack"]
    assert console_errors(browser) == []


def test_the_slider_changes_what_counts(browser: Chrome) -> None:
    choose(browser, "outcome", "all images")
    choose(browser, "threshold", "9")
    assert counts(browser, "busy") == ["first1 hit, 1 missed, 0 false", "second2 hit, 0 missed, 2 false"]
    choose(browser, "threshold", "14")
    assert browser.find_element("id", "threshold-value").text == "0.75"
    assert counts(browser, "busy") == ["first1 hit, 1 missed, 0 false", "second2 hit, 0 missed, 1 false"]
    choose(browser, "threshold", "18")
    assert counts(browser, "busy") == ["first0 hit, 2 missed, 0 false", "second0 hit, 2 missed, 0 false"]
    assert console_errors(browser) == []


def test_texts_of_data_run_nothing_and_nothing_is_loaded(browser: Chrome, two_runs: Path) -> None:
    choose(browser, "threshold", "9")
    assert browser.title == "first, second"
    titles = browser.execute_script(
        "return [...document.querySelectorAll('polygon title')].map(one => one.textContent)"
    )
    assert any(ATTACK in title for title in titles)
    requested = [
        json.loads(entry["message"])["message"]["params"].get("request", {}).get("url", "")
        for entry in browser.get_log("performance")
        if "Network.requestWillBeSent" in entry["message"]
    ]
    assert {url for url in requested if not url.startswith("data:")} <= {"", two_runs.as_uri()}
    injected = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)"
    browser.execute_script(injected)
    assert browser.execute_script("return window.ran") is None, "the policy allows no other script"


def test_two_runs_stand_beside_each_other_and_fit_a_telephone(browser: Chrome) -> None:
    """In the wide window in one row; on the narrow one below each other, without scrolling sideways."""
    tops = (
        "return [...document.querySelectorAll('.image .view')].slice(0, 2).map(one => one.getBoundingClientRect().top)"
    )
    assert len(set(browser.execute_script(tops))) == 1
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert len(set(browser.execute_script(tops))) == 2
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert len(browser.find_elements("css selector", "#different tr")) == 2, "the head, and the epochs"
