"""Every file under configs/ can be used as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from golden import golden_json
from scenetext.config import dump_yaml, files_of, load_settings
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.runs.build import build_task
from scenetext.runs.settings import DetectionRun, PretrainingRun, Run, check_run, load_run
from scenetext.scenes.settings import SceneSettings
from scenetext.text.charset import CharacterSet
from scenetext.training.schedules import learning_rate_factor

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
GOLDEN = {
    run["words"]: run
    for run in map(json.loads, (CONFIGS.parent / "tests/golden/configs.jsonl").read_text().splitlines())
}
"""The resolved settings of 143 runs, from when each was a file of its own: all values of one run of every detector and
of one pre-training; of the others, what differs from these."""
DETECTORS = ("dbnet", "dbnetpp", "psenet", "pan", "fcenet", "textsnake", "textbpn", "textbpnpp", "maskrcnn", "drrg")
DATASETS = ("icdar2015", "ctw1500", "totaltext", "td500")
RECIPES = sorted(
    words
    for words in GOLDEN
    if not {"oclip", "tcm", "fasttcm", "tiny"} & set(words.split()) or words.split()[2] == "oclip"
)
"""<detector> <dataset> <encoder>"""


def load(words: str) -> Run:
    return load_run(words.split())


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested groups as one, with dotted keys."""
    if not isinstance(values, dict) or not values:
        return {prefix: values}
    return {
        key: inner
        for name, value in values.items()
        for key, inner in flat(value, f"{prefix}.{name}" if prefix else name).items()
    }


def with_dictionary(run: Run, path: Path) -> Run:
    """The run with a dictionary that is there, as large as the published Chinese one, where its own comes with data."""
    if not isinstance(run, PretrainingRun) or run.method.characters is None or run.method.characters.exists():
        return run
    CharacterSet(map(chr, range(0x4E00, 0x4E00 + 5251))).write(path)
    return run.model_copy(update={"method": run.method.model_copy(update={"characters": path})})


@pytest.mark.parametrize("words", GOLDEN)
def test_settings_are_those_of_the_former_file(words: str) -> None:
    golden = GOLDEN[words]
    expected = GOLDEN[golden["as"]]["values"] | golden["values"] if "as" in golden else golden["values"]
    found = flat(load(words).model_dump(mode="json"))
    gone = set(golden.get("without", ()))
    assert {key: found.get(key, "absent") for key in expected.keys() - gone} == {
        key: value for key, value in expected.items() if key not in gone
    }
    assert not gone & found.keys()


@pytest.mark.parametrize("words", GOLDEN)
def test_run_builds_its_task_and_prints_back(words: str, tmp_path: Path) -> None:
    run = load(words)
    with torch.device("meta"):  # full-size models take seconds to fill with numbers, and gigabytes
        task = build_task(with_dictionary(run, tmp_path / "characters.txt"))
    assert sum(parameter.numel() for parameter in task.parameters()) > 0
    assert check_run(yaml.safe_load(dump_yaml(run)), "printed") == run


@pytest.mark.parametrize(
    ("words", "golden"), [("synthtext rn50", "RN50"), ("synthtext rn101", "RN101"), ("lsvt rn50", "RN50_lsvt")]
)
def test_full_size_models_have_the_published_names_and_shapes(words: str, golden: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        task = build_task(with_dictionary(load(f"oclip {words}"), tmp_path / "characters.txt"))
    shapes = golden_json("oclip", f"keys_{golden}.json")["shapes"]
    assert isinstance(task, OclipTask)
    assert {name: list(value.shape) for name, value in task.network.state_dict().items()} == {
        name: one["shape"] for name, one in shapes.items()
    }


def test_full_size_training_has_the_published_schedule() -> None:
    run = load("oclip synthtext rn50")
    golden = golden_json("oclip", "tiny_optimizer.json")
    published = golden["schedule"]["base0.0005_warm10000_total335400"]
    assert run.training.steps == 335400
    for step, rate in published["lr"].items():
        factor = learning_rate_factor(int(step), run.training.steps, run.schedule)
        assert factor == pytest.approx(rate / published["base_lr"], rel=1e-9, abs=1e-20)
    settings = run.optimizer
    assert (settings.learning_rate, settings.weight_decay) == (1e-4, 0.1), "of the README's command"
    assert (list(settings.betas), settings.epsilon) == (golden["adamw"]["betas"], golden["adamw"]["eps"])


@pytest.mark.parametrize("path", sorted((CONFIGS / "scenes").glob("*.yaml")), ids=lambda path: path.stem)
def test_scene_file_loads(path: Path) -> None:
    assert load_settings(SceneSettings, path)


def test_one_seed_fixes_the_initial_weights() -> None:
    run = load_run(["dbnet", "scenes", "tiny"], DetectionRun)
    other = load_run(["dbnet", "scenes", "tiny", "training.seed=1"], DetectionRun)
    first, second, third = (build_task(each).state_dict() for each in (run, run, other))
    assert all((first[name] == second[name]).all() for name in first)
    assert any((first[name] != third[name]).any() for name in first)


def test_pretrained_encoder_of_the_tiny_configs_fits_the_tiny_detector() -> None:
    pretraining = load_run(["oclip", "words", "tiny"], PretrainingRun)
    detector = load_run(["dbnet", "scenes", "tiny"], DetectionRun)
    encoder = pretraining.method.encoder  # type: ignore[union-attr]
    assert (encoder.layers, encoder.width) == (detector.encoder.layers, detector.encoder.width)  # type: ignore[union-attr]


@pytest.mark.parametrize("words", RECIPES)
def test_recipe_is_what_its_words_say(words: str) -> None:
    """Its dataset's files are read; and where two runs share a detector and a dataset, they differ in encoder and
    optimisation alone, so that they can be compared. ResNet-18 may have a test size of its own."""
    detector, dataset, encoder = words.split()
    run = load(words)
    assert not isinstance(run, PretrainingRun)
    assert run.detector.name == detector
    assert f"data/{dataset}/train.jsonl" in [str(one.records) for one in run.data.train]
    assert list(map(str, run.data.validation)) == [f"data/{dataset}/test.jsonl"]
    assert run.detector.decoding.polygon_shape == ("quad" if dataset in ("icdar2015", "td500") else "polygon")
    assert {None: "scratch", "imagenet": "imagenet"}.get(run.encoder.weights, "oclip") == (
        encoder if encoder in ("scratch", "oclip") else "imagenet"
    )
    other = load(f"{detector} {dataset} scratch")
    if encoder == "resnet18":
        other = other.model_copy(update={"evaluation_transform": run.evaluation_transform})
    names = {"resnet18": (18, ()), "resnet50": (50, ()), "dcnv2": (50, (2, 3, 4))}
    if encoder in names:
        assert (run.encoder.depth, run.encoder.deformable_stages) == names[encoder]
    for group in ("detector", "data", "transform", "evaluation_transform", "evaluation"):
        assert getattr(run, group) == getattr(other, group), group


PUBLISHED = {
    "dbnet": {"epochs": 1200, "optimizer": "sgd", "learning_rate": 7e-3, "size": 640, "rotation": 10, "batch": 16},
    "dbnetpp": {"epochs": 1200, "optimizer": "sgd", "learning_rate": 7e-3, "size": 640, "rotation": 10, "batch": 16},
    "psenet": {"epochs": 600, "optimizer": "adam", "learning_rate": 1e-4, "size": 736, "rotation": 10, "batch": 16},
    "pan": {"epochs": 600, "optimizer": "adam", "learning_rate": 1e-3, "size": 736, "rotation": 10, "batch": 16},
    "fcenet": {"epochs": 1500, "optimizer": "sgd", "learning_rate": 1e-3, "size": 800, "rotation": 30, "batch": 8},
    "textsnake": {"epochs": 1200, "optimizer": "sgd", "learning_rate": 7e-3, "size": 800, "rotation": 20, "batch": 4},
    "drrg": {"epochs": 1200, "optimizer": "sgd", "learning_rate": 7e-3, "size": 800, "rotation": 60, "batch": 16},
    "textbpn": {"epochs": 660, "optimizer": "adam", "learning_rate": 1e-3, "size": 640, "rotation": 52, "batch": 12},
    "textbpnpp": {"epochs": 660, "optimizer": "adam", "learning_rate": 1e-3, "size": 640, "rotation": 52, "batch": 12},
    "maskrcnn": {"epochs": 160, "optimizer": "sgd", "learning_rate": 8e-2, "size": 640, "rotation": 0, "batch": 8},
}


@pytest.mark.parametrize("detector", DETECTORS)
def test_recipe_for_icdar2015_has_the_published_values(detector: str) -> None:
    run, published = load(f"{detector} icdar2015 scratch"), PUBLISHED[detector]
    assert not isinstance(run, PretrainingRun)
    assert (run.training.epochs, run.loader.batch_size) == (published["epochs"], published["batch"])
    assert (run.optimizer.name, run.optimizer.learning_rate) == (published["optimizer"], published["learning_rate"])
    assert run.transform.size == (published["size"],) * 2
    assert run.transform.rotation == (-published["rotation"], published["rotation"])
    oclip = load(f"{detector} icdar2015 oclip")
    lower = {"dbnet": 2e-3, "dbnetpp": 2e-3, "fcenet": 5e-4, "maskrcnn": 2e-2}
    assert oclip.optimizer.learning_rate == lower.get(detector, published["learning_rate"])
    assert oclip.loader.batch_size == {"textsnake": 4, "textbpn": 12, "textbpnpp": 12, "maskrcnn": 8}.get(detector, 16)


RATES_AND_WARM_UP = {
    "dbnet icdar2015 resnet18": (7e-3, 0),
    "dbnet icdar2015 resnet50": (2e-3, 100),
    "dbnet icdar2015 dcnv2": (7e-3, 0),
    "dbnet icdar2015 oclip": (2e-3, 100),
    "dbnetpp icdar2015 resnet50": (3e-3, 200),
    "dbnetpp icdar2015 dcnv2": (7e-3, 0),
    "dbnetpp icdar2015 oclip": (2e-3, 200),
}
"""Peak learning rates and epochs of warm-up of MMOCR's configurations of these encoders."""


@pytest.mark.parametrize("words", RATES_AND_WARM_UP)
def test_encoders_have_their_published_rates(words: str) -> None:
    run = load(words)
    assert (run.optimizer.learning_rate, run.schedule.warmup_epochs) == RATES_AND_WARM_UP[words]


TEXTBPN_DECODING = {
    "textbpn totaltext resnet50": (1, 0.3, 0.825),
    "textbpn ctw1500 resnet50": (1, 0.3, 0.8),
    "textbpn td500 resnet50": (1, 0.3, 0.925),
    "textbpnpp totaltext resnet18": (4, 0.25, 0.85),
    "textbpnpp totaltext resnet50": (1, 0.325, 0.85),
    "textbpnpp totaltext dcnv2": (1, 0.325, 0.9),
    "textbpnpp ctw1500 resnet18": (4, 0.35, 0.85),
    "textbpnpp ctw1500 resnet50": (1, 0.375, 0.8),
    "textbpnpp ctw1500 dcnv2": (1, 0.3, 0.925),
    "textbpnpp td500 resnet18": (4, 0.35, 0.9),
    "textbpnpp td500 resnet50": (1, 0.35, 0.875),
    "textbpnpp td500 dcnv2": (1, 0.3, 0.95),
}
"""Stride and thresholds of distance and text, as published."""


@pytest.mark.parametrize("words", TEXTBPN_DECODING)
def test_textbpn_has_its_published_thresholds_and_epochs(words: str) -> None:
    run = load(words)
    assert not isinstance(run, PretrainingRun)
    decoding = run.detector.decoding
    found = (run.detector.stride, decoding.distance_threshold, decoding.text_threshold)
    assert found == TEXTBPN_DECODING[words]
    every, epochs = (100, 2000) if run.detector.name == "textbpn" else (50, 1200)
    epochs = epochs if "td500" in words else 660
    assert run.schedule.milestone_epochs == tuple(range(every, epochs, every))
    assert (run.training.epochs, run.schedule.gamma) == (epochs, 0.9)
    assert run.loader.batch_size == (48 if "resnet18" in words else 12)


TCM_TEST_SIZES = {"icdar2015": (4068, 1024), "td500": (4068, 736), "ctw1500": (1600, 1024), "totaltext": (800, 800)}
TCM_DBNET_DECODING = {"icdar2015": (0.28, 0.2, 1.6), "ctw1500": (0.08, 0.3, 2.0), "totaltext": (0.08, 0.3, 2.0)}


@pytest.mark.parametrize(
    "words", [f"{one} {dataset} {tcm}" for one in DETECTORS for dataset in DATASETS for tcm in ("tcm", "fasttcm")]
)
def test_recipe_of_tcm_is_what_its_words_say_with_the_published_values(words: str) -> None:
    detector, dataset, variant = words.split()
    run = load(words)
    assert not isinstance(run, PretrainingRun)
    plain = load(f"{detector} {dataset} scratch")
    assert (run.encoder.name, run.encoder.fast, run.detector.name) == ("tcm", variant == "fasttcm", detector)
    assert run.data == plain.data
    assert run.transform == plain.transform.model_copy(update={"size": run.transform.size})  # type: ignore[attr-defined]
    assert run.transform.size == (run.encoder.input_size,) * 2
    assert run.encoder.input_size == {"fcenet": 800, "textsnake": 800, "drrg": 800}.get(detector, 640)
    assert (run.evaluation_transform.long_side, run.evaluation_transform.short_side) == TCM_TEST_SIZES[dataset]
    assert (run.optimizer.name, run.optimizer.learning_rate, run.optimizer.weight_decay) == ("adamw", 1e-4, 1e-4)
    assert [(group.pattern, group.learning_rate_factor) for group in run.optimizer.groups] == [("encoder.image.*", 0.1)]
    assert (run.training.epochs, run.loader.batch_size) == (1200, 128)
    decoding = run.detector.decoding
    assert decoding.polygon_shape == plain.detector.decoding.polygon_shape  # type: ignore[union-attr]
    if detector.startswith("dbnet") and dataset in TCM_DBNET_DECODING:
        values = (decoding.mask_threshold, decoding.score_threshold, decoding.unclip_ratio)
        assert values == TCM_DBNET_DECODING[dataset]


def test_every_part_is_used() -> None:
    """What is no config of its own is the base of one."""
    used = {other for path in CONFIGS.rglob("*.yaml") for other in map(Path.resolve, files_of(path)[1:])}
    assert not {path for path in CONFIGS.rglob("parts/*.yaml") if path.resolve() not in used}
