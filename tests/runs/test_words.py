"""Names of configs, YAML files and settings, combined."""

from __future__ import annotations

from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import pytest
import yaml

from scenetext.detectors import detector_names, find_detector
from scenetext.errors import ConfigError
from scenetext.evaluation.named_rules import find_protocol
from scenetext.runs import kinds
from scenetext.runs.settings import DetectionRun, PretrainingRun, load_run
from scenetext.runs.usable import DataCheck, RunSets
from scenetext.runs.words import METHODS, Config, all_configs, combine

CONFIGS = all_configs()
TWO_ENCODERS = [
    *[("oclip", "tcm"), ("oclip", "fasttcm"), ("tcm", "tiny"), ("fasttcm", "tiny")],
    *[("oclip", "attached_tcm"), ("resnet50", "attached_tcm"), ("attached_tcm", "tiny")],
    *[("oclip", "attached_fasttcm"), ("resnet50", "attached_fasttcm"), ("attached_fasttcm", "tiny")],
    ("timm", "tiny"),
]
REFUSED = [("odm", "timm")]
"""ODM is built on CLIP's ResNet alone."""


def fitting(axis: str, kind: str) -> list[str]:
    return [config.word for config in CONFIGS[axis] if config.kind in (None, kind)]


def every_combination(method: Config) -> list[list[str]]:
    """Everything that can be said of a detector or a pre-training with one data set."""
    kind = str(method.kind)
    encoders: list[tuple[str, ...]] = [(each,) for each in fitting("encoders", kind)]
    encoders += TWO_ENCODERS if kind == "detection" else [()]
    encoders = [each for each in encoders if (method.word, *each) not in REFUSED]
    trials = [(), *((each,) for each in fitting("trials", kind))]
    trains_detector = method.axis == "pretraining" and kind == "detection"
    trained = ["dbnet", "data.unlabelled=[images.jsonl]"] if trains_detector else []
    return [
        [method.word, *trained, dataset, *encoder, *trial]
        for dataset, encoder, trial in product(fitting("datasets", kind), encoders, trials)
    ]


@pytest.mark.parametrize("method", [*CONFIGS["detectors"], *CONFIGS["pretraining"]], ids=lambda method: method.word)
def test_every_combination_is_a_run(method: Config) -> None:
    words, kind = every_combination(method), METHODS[str(method.axis)]
    names = [combine(each, kind).name for each in words if load_run(each).kind == kind]
    assert len(set(names)) == len(words) > 5, "every combination has a folder of its own"


@pytest.mark.parametrize("words", REFUSED)
def test_what_a_method_cannot_take_is_refused_by_name(words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="encoder.name: Input should be"):
        load_run([*words, "scenes"])


def test_two_encoders_go_together_where_one_says_what_holds_with_the_other() -> None:
    encoders = [config for config in CONFIGS["encoders"] if config.kind != "pretraining"]
    for one, other in combinations([config.word for config in encoders], 2):
        words = ["dbnet", "icdar2015", one, other]
        if (one, other) in TWO_ENCODERS or (other, one) in TWO_ENCODERS:
            assert load_run(words) == load_run(["dbnet", "icdar2015", other, one]), "in either order"
        else:
            with pytest.raises(ConfigError, match=f"{one} and {other} are both encoders, name one"):
                combine(words)


def test_tcm_takes_its_image_side_from_a_pretraining() -> None:
    run = load_run(["dbnet", "icdar2015", "oclip", "fasttcm"])
    assert not isinstance(run, PretrainingRun)
    assert (run.encoder.name, run.encoder.fast) == ("tcm", True)
    assert (str(run.encoder.weights), str(run.encoder.text_weights)) == (
        "weights/oclip_rn50.pt",
        "weights/clip_RN50.pt",
    )
    plain = load_run(["dbnet", "icdar2015", "fasttcm"])
    assert (run.optimizer, run.schedule, run.training) == (plain.optimizer, plain.schedule, plain.training)


def test_attached_tcm_takes_the_encoder_that_stands_beside_it() -> None:
    """The four rungs of FastTCM's ablation differ in one word."""
    plain, clip, tcm, fast = (
        load_run(["dbnet", "icdar2015", *words])
        for words in (["resnet50"], ["clip_rn50"], ["attached_tcm"], ["attached_fasttcm"])
    )
    assert (tcm.encoder.attach.encoder, tcm.encoder.text_weights) == (clip.encoder, None), "text from the same file"
    assert fast.encoder == tcm.encoder.model_copy(update={"fast": True})
    assert (plain.optimizer.groups, [group.pattern for group in tcm.optimizer.groups]) == ((), ["encoder.image.*"])
    on_resnet = load_run(["dbnet", "icdar2015", "resnet50", "attached_tcm"])
    assert on_resnet.encoder.attach.encoder == plain.encoder
    assert str(on_resnet.encoder.text_weights) == "weights/clip_RN50.pt"
    for run, other in ((clip, tcm), (clip, fast), (plain, on_resnet)):
        for group in ("data", "transform", "evaluation_transform", "loader", "schedule", "training"):
            assert getattr(run, group) == getattr(other, group), group


def test_the_order_of_names_makes_no_difference() -> None:
    words = ["psenet", "icdar2015", "tcm", "tiny", "overfit"]
    runs = [combine(order) for order in permutations(words)]
    assert {run.name for run in runs} == {"psenet-icdar2015-tcm-tiny-overfit"}
    assert all(run.values == runs[0].values for run in runs)


def test_settings_win_wherever_they_stand() -> None:
    first = load_run(["optimizer.learning_rate=3e-4", "dbnet", "icdar2015", "oclip"])
    assert first == load_run(["dbnet", "icdar2015", "oclip", "optimizer.learning_rate=3e-4"])
    assert first.optimizer.learning_rate == 3e-4
    last = load_run(["training.seed=1", "dbnet", "training.seed=2", "icdar2015", "oclip"])
    assert last.training.seed == 2


def test_a_tiny_detector_trains_alike_whatever_its_recipe() -> None:
    """But for one that reads, which must not see mirrored letters."""
    detectors = [load_run([config.word, "scenes", "tiny"], DetectionRun) for config in CONFIGS["detectors"]]
    reading = [run for run in detectors if find_detector(run.detector.name).reads]
    unmirrored = detectors[0].transform.model_copy(update={"horizontal_flip": 0})
    assert all(run.transform == unmirrored for run in reading)
    runs = [
        run.model_copy(update={"transform": detectors[0].transform}) if run in reading else run for run in detectors
    ]
    for group in (
        "encoder",
        "data",
        "transform",
        "evaluation_transform",
        "loader",
        "optimizer",
        "schedule",
        "training",
    ):
        assert len({repr(getattr(run, group)) for run in runs}) == 1, group


def write(path: Path, **values: Any) -> str:
    path.write_text(yaml.safe_dump(values))
    return str(path)


def test_a_yaml_file_changes_what_comes_before_it_and_is_changed_by_what_comes_after(tmp_path: Path) -> None:
    own = write(tmp_path / "own.yaml", optimizer={"learning_rate": 5e-4}, loader={"batch_size": 3})
    after = load_run(["dbnet", "icdar2015", "oclip", own])
    assert (after.optimizer.learning_rate, after.loader.batch_size) == (5e-4, 3)
    assert combine(["dbnet", "icdar2015", "oclip", own]).name == "dbnet-icdar2015-oclip-own"
    before = load_run([own, "dbnet", "icdar2015", "oclip"])
    assert (before.optimizer.learning_rate, before.loader.batch_size) == (2e-3, 16)


def test_a_yaml_file_says_what_holds_with_a_config(tmp_path: Path) -> None:
    pair = {"oclip": {"loader": {"batch_size": 5}, "with": {"ctw1500": {"loader": {"batch_size": 6}}}}}
    own = write(tmp_path / "own.yaml", **{"with": pair})
    sizes = [load_run(["pan", data, encoder, own]).loader.batch_size for data, encoder in (
        ("icdar2015", "scratch"), ("icdar2015", "oclip"), ("ctw1500", "oclip")
    )]  # fmt: skip
    assert sizes == [16, 5, 6]


def test_a_whole_run_as_a_file_with_another_encoder(tmp_path: Path) -> None:
    values = load_run(["dbnet", "icdar2015", "scratch"]).model_dump(mode="json")
    path = write(tmp_path / "lr=1" / "config.yaml", **values) if (tmp_path / "lr=1").mkdir() is None else ""
    assert load_run([path]) == load_run(["dbnet", "icdar2015", "scratch"])
    assert load_run([path, "resnet18"]).encoder.depth == 18  # type: ignore[union-attr]
    assert combine([path]).name == "config"


def test_one_name_of_two_things_is_known_by_its_company() -> None:
    assert load_run(["oclip", "words", "tiny"]).kind == "pretraining"
    assert load_run(["oclip", "icdar2015", "dbnet"]).encoder.weights == Path("weights/oclip_rn50.pt")  # type: ignore[union-attr]
    with pytest.raises(
        ConfigError, match="describes a pretraining run; start it with scenetext pretrain, or name a det"
    ):
        load_run(["oclip", "icdar2015"], DetectionRun)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("dbnett icdar2015 oclip", "'dbnett' is no config; did you mean dbnet?"),
        ("dbnet zzz oclip", "'zzz' is no config. All of them: scenetext list"),
        ("dbnet psenet icdar2015 oclip", "dbnet and psenet are both detectors, name one"),
        ("dbnet icdar2015 icdar2015 oclip", "icdar2015 is named twice"),
        ("dbnet icdar2015 ctw1500 oclip", "are both data sets, name one; several sets in one run: data.train="),
        ("dbnet", "dbnet: names no data set; add one of ctw1500, icdar2015, "),
        ("dbnet icdar2015", "names no encoder; add one of attached_fasttcm, attached_tcm, clip_rn50, dcnv2, "),
        ("icdar2015 scratch", f"names no detector; add one of {', '.join(detector_names())}"),
        ("icdar2015", "names no detector and no pre-training; add one of dbnet, "),
        ("", "the command line: names no detector and no pre-training"),
        ("dbnet lsvt oclip", "lsvt is for pretraining runs, this is a detection run"),
        ("oclip words dcnv2", "dcnv2 is for detection runs, this is a pretraining run"),
        ("dbnet icdar2015 oclip optimizer.learning_rat=1", "dbnet icdar2015 oclip: optimizer.learning_rat is unknown"),
        ("none.yaml", "none.yaml: cannot be read"),
        ("dbnet icdar2015 oclip evaluation.protocol=ic15_dbb", "'ic15_dbb' is unknown; did you mean ic15_db"),
    ],
)
def test_what_cannot_be_a_run_is_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_run(words.split())
    assert message in str(caught.value)


def test_a_run_of_the_other_kind_is_refused_with_its_command() -> None:
    with pytest.raises(
        ConfigError, match="oclip rn50 words: describes a pretraining run; start it with scenetext pretr"
    ):
        load_run(["oclip", "rn50", "words"], DetectionRun)
    with pytest.raises(ConfigError, match="describes a detection run; start it with scenetext train"):
        load_run(["dbnet", "scenes", "tiny"], PretrainingRun)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"with": {"icdar2105": {"training": {"seed": 1}}}}, "with: 'icdar2105' is no config; did you mean icdar2015?"),
        ({"with": {"icdar2015": 3}}, "with: icdar2015: holds int, expected settings"),
        ({"with": ["icdar2015"]}, "with: holds list, expected names of configs"),
    ],
)
def test_pairs_that_can_never_hold_are_refused(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_run(["dbnet", "icdar2015", "oclip", write(tmp_path / "own.yaml", **content)])
    assert message in str(caught.value)


def test_a_method_that_trains_a_detector_goes_with_the_words_of_detectors() -> None:
    """It is a pre-training, with what files hold for a detector's training and nothing of what they hold for others."""
    run = load_run(["scenes", "tiny", "freereal", "dbnet", "data.unlabelled=[a.jsonl]"], PretrainingRun)
    detector = load_run(["dbnet", "scenes", "tiny"], DetectionRun)
    assert (run.kind, run.method.name, run.method.glyphs) == ("pretraining", "freereal", True)
    for group in ("encoder", "detector", "transform", "evaluation_transform", "evaluation"):
        assert getattr(run, group) == getattr(detector, group), group
    assert run.optimizer.learning_rate == pytest.approx(detector.optimizer.learning_rate / 10)
    control = load_run(["mean_teacher", "dbnet", "scenes", "tiny", "data.unlabelled=[a.jsonl]"], PretrainingRun)
    assert control == run.model_copy(update={"method": run.method.model_copy(update={"glyphs": False})})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("freereal scenes tiny", "names no detector; add one of dbnet"),
        ("freereal dbnet scenes", "names no encoder; add one of"),
        ("freereal dbnet tiny", "names no data set; add one of"),
        ("freereal mean_teacher dbnet scenes tiny", "are both pre-trainings, name one"),
    ],
)
def test_what_such_a_method_lacks_is_named(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_run(words.split())


def test_every_config_begins_with_what_it_is() -> None:
    assert all(len(config.title) > 20 for configs in CONFIGS.values() for config in configs)


def test_a_run_says_where_the_name_of_its_rule_had_another_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "sets_with_text", lambda run, sets: sets)
    sets = RunSets([], [], DataCheck({}, {}, ()), ("first",))
    for rule, remarks in (
        ("ic15", ["first"]),
        ("ic13_deteval", ["first", f"ic13_deteval: {find_protocol('ic13_deteval').note}"]),
    ):
        run = load_run(["dbnet", "icdar2015", "oclip", f"evaluation.protocol={rule}"])
        assert list(kinds.kind_of(run).usable(run, None, sets).remarks) == remarks
