"""The commands as a person runs them: the whole road on a handful of drawn images, and what bad input gets to read."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from checkout import REPOSITORY
from command_process import run_tool
from scenetext.data.records.files import write_records
from scenetext.data.records.images import image_size, write_image
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.structures import ImageRecord, TextInstance
from scenetext.weights.files import write_safetensors

WORDS = ("STOP", "CAFE", "TAXI", "OPEN", "EXIT", "BANK")


def run(tool: str | Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_tool(Path(tool).stem, *arguments)


def draw_word(path: Path, word: str) -> ImageRecord:
    """A 64 x 64 image of one word in black on grey, with its true polygon."""
    image = np.full((64, 64, 3), 170, dtype=np.uint8)
    cv2.putText(image, word, (3, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.75, (0, 0, 0), 2, cv2.LINE_AA)
    rows, columns = np.nonzero(image[..., 0] < 120)
    left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    polygon = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)
    write_image(path, image)
    return ImageRecord(path, 64, 64, (TextInstance(polygon, word),))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_records(folder / "records.jsonl", [draw_word(folder / f"{word}.jpg", word) for word in WORDS])
    return folder


SMALL_ENCODER = {"layers": [1, 1, 1, 1], "width": 8}


def pretraining_config(folder: Path, records: Path) -> Path:
    content = {
        "kind": "pretraining",
        "method": {
            "encoder": SMALL_ENCODER,
            "input_size": 64,
            "embed_dim": 32,
            "text_width": 16,
            "text_heads": 2,
            "text_layers": 1,
            "decoder_layers": 1,
            "decoder_heads": 2,
            "maximum_words": 2,
        },
        "transform": {"size": 64},
        "data": {"train": [str(records)], "validation": [str(records)]},
        "loader": {"batch_size": 4, "evaluation_batch_size": 4, "workers": 0},
        "training": {"steps": 6, "evaluate_every": 3, "checkpoint_every": 2, "log_every": 2, "device": "cpu"},
    }
    path = folder / "pretrain.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def detection_config(folder: Path, records: Path) -> Path:
    content = {
        "kind": "detection",
        "encoder": {"name": "clip_resnet", **SMALL_ENCODER},
        "detector": {"name": "dbnet", "inner_channels": 16, "level_channels": 8},
        "transform": {"size": [64, 64]},
        "evaluation_transform": {"long_side": 64, "short_side": 64},
        "data": {"train": [str(records)], "validation": [str(records)]},
        "loader": {"batch_size": 4, "workers": 0},
        "optimizer": {"learning_rate": 3e-3, "weight_decay": 0},
        "training": {"steps": 6, "evaluate_every": 3, "checkpoint_every": 2, "log_every": 2, "device": "cpu"},
    }
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_workflow_from_pretraining_to_detections(scenes: Path, tmp_path: Path) -> None:
    records = scenes / "records.jsonl"
    pretrained, detector = tmp_path / "pretrained", tmp_path / "detector"

    done = run("tools/pretrain.py", pretraining_config(tmp_path, records), "--output", pretrained)
    assert done.returncode == 0, done.stderr
    assert "vision_gain" in done.stderr
    assert (pretrained / "best.pt").is_file()
    assert list((pretrained / "tensorboard").iterdir())

    done = run("tools/evaluate.py", pretrained / "best.pt", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "| right image | shuffled image | vision gain | top 5 | image to text | text to image |" in done.stdout
    assert json.loads((pretrained / "evaluation" / "evaluation.json").read_text())["words"] == len(WORDS)

    done = run(
        *("tools/attention.py", pretrained / "best.pt", scenes / "STOP.jpg", "ST P", "TAX "),
        *("--output", tmp_path / "attention", "--device", "cpu"),
    )
    assert done.returncode == 0, done.stderr
    assert '"ST P": ' in done.stdout
    pictures = {path.name for path in (tmp_path / "attention").glob("*.jpg")}
    assert pictures == {"STOP_attention.jpg", "STOP_image.jpg", "STOP_word_1.jpg", "STOP_word_2.jpg"}

    backbone = tmp_path / "backbone.safetensors"
    done = run("tools/convert.py", "backbone", pretrained / "best.pt", backbone)
    assert done.returncode == 0, done.stderr
    assert "width 8" in done.stdout
    assert "visual.attnpool" in done.stdout, "what is dropped is printed"

    config = detection_config(tmp_path, records)
    done = run("tools/train.py", config, "--output", detector, f"encoder.weights={backbone}")
    assert done.returncode == 0, done.stderr
    assert "detections" in done.stderr
    assert "waiting_share" in done.stderr
    assert f"encoder weights: {backbone}: clip_resnet of layers [1, 1, 1, 1], width 8" in done.stdout

    done = run("tools/evaluate.py", detector / "best.pt", "--output", tmp_path / "evaluation", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "| threshold | precision | recall | hmean |" in done.stdout
    written = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert written["datasets"]["validation"]["protocols"]["ic15"]["ground_truths"] == len(WORDS)
    assert (tmp_path / "evaluation" / "worst.jpg").is_file()

    done = run("tools/detect.py", detector / "best.pt", scenes, "--output", tmp_path / "found", "--score", "0")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found" / "detections.json").read_text())
    assert len(found["images"]) == len(WORDS)
    assert len(list((tmp_path / "found" / "drawn").iterdir())) == len(WORDS)

    pictures = ("tools/visualize.py", "predictions", detector / "best.pt", "--count", "2", "--threshold", "0")
    done = run(*pictures, "--device", "cpu", "--output", tmp_path / "pictures")
    assert done.returncode == 0, done.stderr
    assert "2 images at score threshold 0: precision" in done.stdout
    assert len(list((tmp_path / "pictures" / "predictions").glob("*.png"))) == 2

    views = ("--scales", "0.5", "1", "--flip", "--set", "evaluation.thresholds=[0.5]", "evaluation.decode_workers=1")
    done = run("tools/evaluate.py", detector / "best.pt", "--output", tmp_path / "views", "--device", "cpu", *views)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "views" / "evaluation.json").read_text())
    assert len(written["datasets"]["validation"]["protocols"]["ic15"]["thresholds"]) == 1
    fails_with(
        run("tools/detect.py", detector / "best.pt", scenes, "--set", "evaluation.scale=2"), "did you mean scales"
    )


def test_ground_truth_and_targets_are_drawn(scenes: Path, tmp_path: Path) -> None:
    records = scenes / "records.jsonl"
    tool, folder = "tools/visualize.py", tmp_path / "pictures"
    done = run(tool, "dataset", records, "--output", folder)
    assert done.returncode == 0, done.stderr
    assert image_size(folder / "dataset.png")[1] > 3 * 480
    command = (tool, "targets", detection_config(tmp_path, records), "--output", folder)
    for words in (("EXIT",), ("TAXI", "OPEN")):
        done = run(*command, "--only", *words)
        assert done.returncode == 0, done.stderr
    drawn = sorted(path.name for path in (folder / "targets").glob("*.png"))
    assert drawn == ["000002_TAXI.png", "000003_OPEN.png"], "those of the earlier run are removed"
    assert (folder / "dataset.png").exists()
    fails_with(run(*command, "--only", "NOWHERE"), "none of 6 images has NOWHERE in its path")


@pytest.mark.slow
def test_demo_runs_from_end_to_end(tmp_path: Path) -> None:
    """At the smallest size: nothing is learnt, everything is run."""
    output = tmp_path / "demo"
    done = run("tools/demo.py", "--output", output, "--share", "0.001", "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    report = (output / "report.md").read_text()
    assert "vision gain" in report
    assert "What a real run needs" in report
    pictures = [line.split(": ", 1)[1] for line in report.splitlines() if line.startswith("- ") and ": /" in line]
    assert len(pictures) == 5
    assert all(Path(picture).exists() for picture in pictures)
    assert run("tools/demo.py", "--output", output).returncode == 2, "a folder with content is not written over"


@pytest.mark.slow
def test_overfit_passes_on_a_few_images_and_says_so(scenes: Path, tmp_path: Path) -> None:
    config = detection_config(tmp_path, scenes / "records.jsonl")
    steps = (
        "training.steps=150",
        "training.evaluate_every=50",
        "training.log_every=50",
        "optimizer.learning_rate=1e-2",
    )
    done = run("tools/train.py", config, "--output", tmp_path / "run", "--overfit", "4", *steps)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "overfit on 4 images: PASSED" in done.stdout


def test_overfit_that_misses_its_mark_fails(scenes: Path, tmp_path: Path) -> None:
    config = detection_config(tmp_path, scenes / "records.jsonl")
    done = run("tools/train.py", config, "--output", tmp_path / "run", "--overfit", "2", "training.steps=1")
    assert done.returncode == 3
    assert "overfit on 2 images: FAILED" in done.stdout


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_interrupted_training_resumes_to_the_same_weights(scenes: Path, tmp_path: Path, name: str) -> None:
    config = detection_config(tmp_path, scenes / "records.jsonl")
    steps = ("training.steps=40", "training.evaluate_every=40", "training.checkpoint_every=40", "training.log_every=1")
    command = ["tools/train.py", str(config), *steps, "--output"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(*command, whole).returncode == 0

    process = subprocess.Popen(
        [sys.executable, *command, str(stopped)],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    log = stopped / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.is_file() and log.read_text().count("\n") >= 2) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 75, output + errors
    assert "go on with --resume" in errors

    assert run(*command, stopped).returncode == 2, "a run folder in use is not overwritten by mistake"
    done = run(*command, stopped, "--resume")
    assert done.returncode == 0, done.stderr
    assert "resumed after step" in done.stdout
    assert weights(whole) == weights(stopped)


def weights(folder: Path) -> dict[str, bytes]:
    from scenetext.training.checkpoint import load_latest_checkpoint

    _, content, _ = load_latest_checkpoint(folder)
    return {name: value.numpy().tobytes() for name, value in content["model"].items()}


def fails_with(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """The command ended with code 2 and one message that holds all parts; no stack trace."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr


def test_unknown_key_is_reported_with_the_nearest_one(scenes: Path, tmp_path: Path) -> None:
    config = detection_config(tmp_path, scenes / "records.jsonl")
    done = run("tools/train.py", config, "detector.shrink_ration=0.5")
    fails_with(done, "train.yaml", "detector.shrink_ration is unknown", "did you mean shrink_ratio?")
    done = run("tools/train.py", config, "detector.name=dbnett")
    fails_with(done, "dbnett", "did you mean dbnet")
    done = run("tools/train.py", config, "encoder.name=clip_resnt")
    fails_with(done, "did you mean clip_resnet?")


def test_config_of_the_other_kind_names_the_right_tool(scenes: Path, tmp_path: Path) -> None:
    done = run("tools/train.py", pretraining_config(tmp_path, scenes / "records.jsonl"))
    fails_with(done, "pretrain.yaml", "start it with scenetext pretrain")
    fails_with(run("tools/train.py", detection_config(tmp_path, tmp_path), "kind=detecting"), "kind is 'detecting'")


def test_missing_files_are_named(scenes: Path, tmp_path: Path) -> None:
    fails_with(run("tools/train.py", tmp_path / "none.yaml"), "none.yaml", "cannot be read")
    config = detection_config(tmp_path, tmp_path / "none.jsonl")
    fails_with(run("tools/train.py", config), "none.jsonl")
    fails_with(run("tools/detect.py", tmp_path / "none.pt", scenes), "none.pt")
    fails_with(run("tools/detect.py", tmp_path / "none.pt", tmp_path / "nowhere"), "nowhere", "no such file or folder")


def test_broken_annotation_line_is_named(scenes: Path, tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    lines = (scenes / "records.jsonl").read_text().splitlines()
    records.write_text("\n".join([*lines[:2], lines[2][:-9], *lines[3:]]) + "\n")
    fails_with(run("tools/train.py", detection_config(tmp_path, records)), f"{records}:3")

    truths = tmp_path / "gts"
    truths.mkdir()
    for word in WORDS:
        (truths / f"gt_{word}.txt").write_text("\ufeff1,1,9,1,9,9,1,9,word\r\n1,1,9,1,9,9,1\r\n", encoding="utf-8")
    done = run(
        *("tools/prepare.py", "icdar2015", "--images", scenes),
        *("--ground-truths", truths, "--output", tmp_path / "out.jsonl"),
    )
    fails_with(done, "gt_", ".txt:2")
    assert not (tmp_path / "out.jsonl").exists()


def test_truncated_image_is_skipped_counted_and_reported(scenes: Path, tmp_path: Path) -> None:
    made = [draw_word(tmp_path / f"{word}.jpg", word) for word in WORDS]
    broken = made[1].path
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    write_records(tmp_path / "records.jsonl", made)
    config = detection_config(tmp_path, tmp_path / "records.jsonl")
    done = run("tools/train.py", config, "--output", tmp_path / "few", "training.maximum_skipped_share=0.5")
    assert done.returncode == 0, done.stderr
    assert str(broken) in done.stderr
    assert "1 of 6 images could not be used" in done.stderr
    assert "skipped_images 1" in done.stderr, "the evaluation reports it too"
    done = run("tools/train.py", config, "--output", tmp_path / "none", "training.maximum_skipped_share=0.01")
    fails_with(done, str(broken), "training.maximum_skipped_share")


def test_unknown_character_is_reported_or_stops_by_policy(scenes: Path, tmp_path: Path) -> None:
    made = [draw_word(tmp_path / f"{word}.jpg", word) for word in WORDS]
    strange = ImageRecord(made[0].path, 64, 64, (TextInstance(None, "CAFÉ"), TextInstance(None, "OK")))
    write_records(tmp_path / "records.jsonl", [strange, *made[1:]])
    config = pretraining_config(tmp_path, tmp_path / "records.jsonl")
    done = run("tools/pretrain.py", config, "--output", tmp_path / "skip", "training.steps=1")
    assert done.returncode == 0, done.stderr
    assert "1 words with unknown characters" in done.stdout
    assert "'É' in 'CAFÉ'" in done.stdout
    assert str(made[0].path) in done.stdout
    done = run("tools/pretrain.py", config, "--output", tmp_path / "stop", "method.unknown_characters=stop")
    fails_with(done, "É", "CAFÉ", str(made[0].path))


def test_all_ignored_is_refused(tmp_path: Path) -> None:
    made = draw_word(tmp_path / "STOP.jpg", "STOP")
    ignored = ImageRecord(made.path, 64, 64, (TextInstance(made.instances[0].polygon, "STOP", True),))
    write_records(tmp_path / "records.jsonl", [ignored])
    done = run("tools/train.py", detection_config(tmp_path, tmp_path / "records.jsonl"))
    fails_with(done, "marked as ignored", "records.jsonl")


def test_gpu_that_is_not_there_is_refused(scenes: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, so asking for one is no mistake here")
    config = detection_config(tmp_path, scenes / "records.jsonl")
    fails_with(run("tools/train.py", config, "--device", "cuda"), "sees no GPU", "--device cpu")


def test_checkpoints_that_do_not_fit_are_refused(scenes: Path, tmp_path: Path) -> None:
    import torch

    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "foreign.pt")
    fails_with(run("tools/detect.py", tmp_path / "foreign.pt", scenes), "foreign.pt", "scenetext convert")
    done = run("tools/convert.py", "backbone", tmp_path / "foreign.pt", tmp_path / "out.safetensors")
    fails_with(done, "foreign.pt", "no known source", "Sources are known by")
    config = detection_config(tmp_path, scenes / "records.jsonl")
    fails_with(run("tools/train.py", config, f"encoder.weights={tmp_path / 'foreign.pt'}"), "no known source")
    backbone = tmp_path / "wide.safetensors"
    wide = ClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=16))
    write_safetensors(backbone, wide.state_dict(), {})
    done = run("tools/train.py", config, f"encoder.weights={backbone}")
    fails_with(done, "wide.safetensors", "width 16", "does not fit", "conv1.weight: file (8, 3, 3, 3)")


def test_benchmark_compares_configs_in_one_run(scenes: Path, tmp_path: Path) -> None:
    records = scenes / "records.jsonl"
    first, second = detection_config(tmp_path, records), pretraining_config(tmp_path, records)
    written = tmp_path / "figures.json"
    done = run("tools/benchmark.py", "run", first, "vs", second, "--repetitions", "2", "--json", written)
    assert done.returncode == 0, done.stderr
    assert "| metric | train | pretrain | pretrain / train |" in done.stdout
    metrics = {each["name"]: each for each in json.loads(written.read_text())["train"]}
    assert metrics["training step"]["value"] > 0
    assert metrics["training operations per image"]["value"] > 0
    assert metrics["loader, one core"]["low"] <= metrics["loader, one core"]["value"]
    assert "| text encoder, forward and backward, ms | - | " in done.stdout, "a detector has none"


def test_benchmark_of_detectors(scenes: Path, tmp_path: Path) -> None:
    config, written = detection_config(tmp_path, scenes / "records.jsonl"), tmp_path / "figures.json"
    few = ("--images", "2", "--repetitions", "1")
    done = run("tools/benchmark.py", "detection", config, *few, "--json", written)
    assert done.returncode == 0, done.stderr
    assert "| targets of a 640 x 640 window, ms | " in done.stdout
    (metrics,) = json.loads(written.read_text()).values()
    assert {"decode", "forward", "end to end, file to detections"} <= {each["name"] for each in metrics}
    fails_with(run("tools/benchmark.py", "detection", config, "--images", "0"), "--images: must be 1 or more")
    other = pretraining_config(tmp_path, scenes / "records.jsonl")
    fails_with(run("tools/benchmark.py", "detection", other), "detection is about detectors: pretrain is none")


def test_doctor_gives_one_verdict() -> None:
    done = run("tools/doctor.py")
    assert done.stdout.strip().splitlines()[-1].startswith("READY" if done.returncode == 0 else "NOT READY")
    assert "torch" in done.stdout


def test_a_dry_run_tells_what_to_expect_and_writes_nothing(scenes: Path, tmp_path: Path) -> None:
    config = pretraining_config(tmp_path, scenes / "records.jsonl")
    before = sorted(tmp_path.rglob("*"))
    done = run("tools/pretrain.py", config, "--output", tmp_path / "run", "--dry-run", "training.steps=1000")
    assert done.returncode == 0, done.stderr
    printed = re.search(
        r"dry run: ([\d.]+) s a step, \w+ an evaluation; 1000 steps and 334 evaluations take about \w+\n"
        r"dry run: memory, this process, at most ([\d.]+) GiB; 3 checkpoints of (\d+) MiB\n",
        done.stdout,
    )
    assert printed, done.stdout
    assert all(float(value) > 0 for value in printed.groups())
    assert sorted(tmp_path.rglob("*")) == before
    broken = run("tools/pretrain.py", config, "--dry-run", "optimizer.learning_rate=0")
    assert broken.returncode == 2
    assert "optimizer.learning_rate" in broken.stderr


def test_too_few_minutes_are_refused(scenes: Path, tmp_path: Path) -> None:
    config = detection_config(tmp_path, scenes / "records.jsonl")
    few = run("tools/train.py", config, "--output", tmp_path / "run", "--minutes", "0.001")
    fails_with(few, "--minutes 0.001 is too short: a step takes")
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_keeps_the_length_that_its_minutes_gave(scenes: Path, tmp_path: Path) -> None:
    config, folder = detection_config(tmp_path, scenes / "records.jsonl"), tmp_path / "run"
    assert run("tools/train.py", config, "--output", folder, "training.steps=9").returncode == 0
    again = run("tools/train.py", config, "--output", folder, "--minutes", "0.001", "--resume")
    assert again.returncode == 0, again.stderr
    assert "9 steps, as when the run began" in again.stdout
    assert yaml.safe_load((folder / "config.yaml").read_text())["training"]["steps"] == 9


def test_printed_config_reads_back(scenes: Path, tmp_path: Path) -> None:
    config = detection_config(tmp_path, scenes / "records.jsonl")
    done = run("tools/train.py", config, "--print-config", "training.seed=7")
    assert done.returncode == 0
    printed = tmp_path / "printed.yaml"
    printed.write_text(done.stdout)
    again = run("tools/train.py", printed, "--print-config")
    assert again.stdout == done.stdout
    assert "seed: 7" in done.stdout
