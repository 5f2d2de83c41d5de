"""Every file under configs/ can be used as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from golden import golden_json
from scenetext.config import dump_yaml, load_settings
from scenetext.runs.build import build_task
from scenetext.runs.settings import PretrainingRun, Run, check_run, load_run
from scenetext.scenes.settings import SceneSettings
from scenetext.tasks.pretraining import PretrainingTask
from scenetext.text.charset import CharacterSet
from scenetext.training.schedules import learning_rate_factor

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PARTS = tuple(CONFIGS / kind / "parts" for kind in ("detectors", "overfit", "tcm", "tables"))
"""What run files and tables are put together from, by `base`."""
RUNS = sorted(
    path
    for kind in ("oclip", "detectors", "overfit", "tcm", "tables/small")
    for path in (CONFIGS / kind).rglob("*.yaml")
    if not any(path.is_relative_to(part) for part in PARTS)
)
RECIPES = sorted(path for path in RUNS if path.parents[1].name == "detectors")
"""configs/detectors/<detector>/<dataset>_<where the encoder's weights come from>[_<encoder>].yaml"""


def load(path: Path) -> Run:
    return load_run(path, [], "pretraining" if "oclip" in (path.parent.name, path.stem) else "detection")


def with_dictionary(run: Run, path: Path) -> Run:
    """The run with a dictionary that is there, as large as the published Chinese one, where its own comes with data."""
    if not isinstance(run, PretrainingRun) or run.method.characters is None or run.method.characters.exists():
        return run
    CharacterSet(map(chr, range(0x4E00, 0x4E00 + 5251))).write(path)
    return run.model_copy(update={"method": run.method.model_copy(update={"characters": path})})


@pytest.mark.parametrize("path", RUNS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_run_file_builds_its_task_and_prints_back(path: Path, tmp_path: Path) -> None:
    run = load(path)
    with torch.device("meta"):  # full-size models take seconds to fill with numbers, and gigabytes
        task = build_task(with_dictionary(run, tmp_path / "characters.txt"))
    assert sum(parameter.numel() for parameter in task.parameters()) > 0
    assert check_run(yaml.safe_load(dump_yaml(run)), "printed") == run


@pytest.mark.parametrize(("file", "golden"), [("rn50", "RN50"), ("rn101", "RN101"), ("rn50_lsvt", "RN50_lsvt")])
def test_full_size_models_have_the_published_names_and_shapes(file: str, golden: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        task = build_task(with_dictionary(load(CONFIGS / "oclip" / f"{file}.yaml"), tmp_path / "characters.txt"))
    shapes = golden_json("oclip", f"keys_{golden}.json")["shapes"]
    assert isinstance(task, PretrainingTask)
    assert {name: list(value.shape) for name, value in task.network.state_dict().items()} == {
        name: one["shape"] for name, one in shapes.items()
    }


def test_full_size_training_has_the_published_schedule() -> None:
    run = load(CONFIGS / "oclip" / "rn50.yaml")
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
    run = load_run(CONFIGS / "detectors" / "dbnet_tiny.yaml", [], "detection")
    other = load_run(CONFIGS / "detectors" / "dbnet_tiny.yaml", ["training.seed=1"], "detection")
    first, second, third = (build_task(each).state_dict() for each in (run, run, other))
    assert all((first[name] == second[name]).all() for name in first)
    assert any((first[name] != third[name]).any() for name in first)


def test_pretrained_encoder_of_the_tiny_configs_fits_the_tiny_detector() -> None:
    pretraining = load_run(CONFIGS / "oclip" / "tiny.yaml", [], "pretraining")
    detector = load_run(CONFIGS / "detectors" / "dbnet_tiny.yaml", [], "detection")
    encoder = pretraining.method.encoder  # type: ignore[union-attr]
    assert (encoder.layers, encoder.width) == (detector.encoder.layers, detector.encoder.width)  # type: ignore[union-attr]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recipe_is_what_its_name_says(path: Path) -> None:
    """Its folder is the detector; its dataset's files are read; and where two runs share a detector and a dataset, they
    differ in encoder and optimisation alone, so that they can be compared. Other published encoders (the last part of
    a name) may have a test size of their own."""
    dataset, weights, *encoder = path.stem.split("_")
    run = load(path)
    assert not isinstance(run, PretrainingRun)
    assert run.detector.name == path.parent.name
    assert f"data/{dataset}/train.jsonl" in [str(one.records) for one in run.data.train]
    assert list(map(str, run.data.validation)) == [f"data/{dataset}/test.jsonl"]
    assert run.detector.decoding.polygon_shape == ("quad" if dataset in ("icdar2015", "td500") else "polygon")
    assert {None: "scratch", "imagenet": "imagenet"}.get(run.encoder.weights, "oclip") == weights
    other = load(path.with_name(f"{dataset}_scratch.yaml"))
    if encoder:
        other = other.model_copy(update={"evaluation_transform": run.evaluation_transform})
        names = {"resnet18": (18, ()), "resnet50": (50, ()), "dcnv2": (50, (2, 3, 4))}
        assert (run.encoder.depth, run.encoder.deformable_stages) == names[encoder[0]]
    for group in ("detector", "data", "transform", "evaluation_transform", "evaluation"):
        assert getattr(run, group) == getattr(other, group), group


PUBLISHED = {
    "dbnet": {"epochs": 1200, "optimizer": "sgd", "learning_rate": 7e-3, "size": 640, "rotation": 10, "batch": 16},
    "dbnetpp": {"epochs": 1200, "optimizer": "sgd", "learning_rate": 7e-3, "size": 640, "rotation": 10, "batch": 16},
    "psenet": {"epochs": 600, "optimizer": "adam", "learning_rate": 1e-4, "size": 736, "rotation": 10, "batch": 16},
    "pan": {"epochs": 600, "optimizer": "adam", "learning_rate": 1e-3, "size": 736, "rotation": 10, "batch": 16},
    "fcenet": {"epochs": 1500, "optimizer": "sgd", "learning_rate": 1e-3, "size": 800, "rotation": 30, "batch": 8},
}


@pytest.mark.parametrize("detector", sorted({path.parent.name for path in RECIPES}))
def test_recipe_for_icdar2015_has_the_published_figures(detector: str) -> None:
    run, published = load(CONFIGS / "detectors" / detector / "icdar2015_scratch.yaml"), PUBLISHED[detector]
    assert not isinstance(run, PretrainingRun)
    assert (run.training.epochs, run.loader.batch_size) == (published["epochs"], published["batch"])
    assert (run.optimizer.name, run.optimizer.learning_rate) == (published["optimizer"], published["learning_rate"])
    assert run.transform.size == (published["size"],) * 2
    assert run.transform.rotation == (-published["rotation"], published["rotation"])
    oclip = load(CONFIGS / "detectors" / detector / "icdar2015_oclip.yaml")
    lower = {"dbnet": 2e-3, "dbnetpp": 2e-3, "fcenet": 5e-4}
    assert oclip.optimizer.learning_rate == lower.get(detector, published["learning_rate"])
    assert oclip.loader.batch_size == 16


RATES_AND_WARM_UP = {
    "dbnet/icdar2015_imagenet_resnet18": (7e-3, 0),
    "dbnet/icdar2015_imagenet": (2e-3, 100),
    "dbnet/icdar2015_imagenet_dcnv2": (7e-3, 0),
    "dbnet/icdar2015_oclip": (2e-3, 100),
    "dbnetpp/icdar2015_imagenet": (3e-3, 200),
    "dbnetpp/icdar2015_imagenet_dcnv2": (7e-3, 0),
    "dbnetpp/icdar2015_oclip": (2e-3, 200),
}
"""Peak learning rates and epochs of warm-up of MMOCR's configurations of these encoders."""


@pytest.mark.parametrize("name", RATES_AND_WARM_UP)
def test_encoders_have_their_published_rates(name: str) -> None:
    run = load(CONFIGS / "detectors" / f"{name}.yaml")
    assert (run.optimizer.learning_rate, run.schedule.warmup_epochs) == RATES_AND_WARM_UP[name]


TCM_RECIPES = sorted(path for path in (CONFIGS / "tcm").glob("*.yaml") if not path.stem.endswith("_tiny"))
TCM_TEST_SIZES = {"icdar2015": (4068, 1024), "td500": (4068, 736), "ctw1500": (1600, 1024), "totaltext": (800, 800)}
TCM_DBNET_DECODING = {"icdar2015": (0.28, 0.2, 1.6), "ctw1500": (0.08, 0.3, 2.0), "totaltext": (0.08, 0.3, 2.0)}


def test_tcm_has_recipes_for_every_detector_and_dataset_of_its_slides() -> None:
    assert {path.stem for path in TCM_RECIPES} == {
        f"{variant}_{detector}_{dataset}"
        for variant in ("tcm", "fasttcm")
        for detector in PUBLISHED
        for dataset in TCM_TEST_SIZES
    }


@pytest.mark.parametrize("path", TCM_RECIPES, ids=lambda path: path.stem)
def test_recipe_of_tcm_is_what_its_name_says_with_the_published_figures(path: Path) -> None:
    variant, detector, dataset = path.stem.split("_")
    run = load(path)
    assert not isinstance(run, PretrainingRun)
    plain = load(CONFIGS / "detectors" / detector / f"{dataset}_scratch.yaml")
    assert (run.encoder.name, run.encoder.fast, run.detector.name) == ("tcm", variant == "fasttcm", detector)
    assert run.data == plain.data
    assert run.transform == plain.transform.model_copy(update={"size": run.transform.size})  # type: ignore[attr-defined]
    assert run.transform.size == (run.encoder.input_size,) * 2 == ((800,) * 2 if detector == "fcenet" else (640,) * 2)
    assert (run.evaluation_transform.long_side, run.evaluation_transform.short_side) == TCM_TEST_SIZES[dataset]
    assert (run.optimizer.name, run.optimizer.learning_rate, run.optimizer.weight_decay) == ("adamw", 1e-4, 1e-4)
    assert [(group.pattern, group.learning_rate_factor) for group in run.optimizer.groups] == [("encoder.image.*", 0.1)]
    assert (run.training.epochs, run.loader.batch_size) == (1200, 128)
    decoding = run.detector.decoding
    assert decoding.polygon_shape == plain.detector.decoding.polygon_shape  # type: ignore[union-attr]
    if detector.startswith("dbnet") and dataset in TCM_DBNET_DECODING:
        figures = (decoding.mask_threshold, decoding.score_threshold, decoding.unclip_ratio)
        assert figures == TCM_DBNET_DECODING[dataset]


def test_every_part_is_used() -> None:
    named = set()
    for path in CONFIGS.rglob("*.yaml"):
        bases = yaml.safe_load(path.read_text()).get("base", [])
        named |= {(path.parent / base).resolve() for base in ([bases] if isinstance(bases, str) else bases)}
    assert not {path for parts in PARTS for path in parts.rglob("*.yaml") if path.resolve() not in named}
