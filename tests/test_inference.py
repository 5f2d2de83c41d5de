from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenetext.data.records.images import write_image
from scenetext.data.records.orientation import turn_upright, upright_to_stored
from scenetext.errors import CheckpointError, ConfigError, ImageError
from scenetext.geometry.polygon import transform_polygon
from scenetext.inference import TextDetector
from scenetext.runs.build import build_task
from scenetext.runs.settings import DetectionRun, load_run
from scenetext.training.checkpoint import save_checkpoint

WORDS = ["dbnet", "scenes", "tiny"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained detector whose probability map is high everywhere, so that it finds something in any image."""
    run = load_run([*WORDS, "encoder.weights=gone.safetensors"], DetectionRun)
    run_without = load_run(WORDS, DetectionRun)
    task = build_task(run_without)
    state = task.state_dict()
    state["head.probability.predict.bias"] = torch.tensor([3.0])
    path = tmp_path_factory.mktemp("run") / "best.pt"
    save_checkpoint(path, {"kind": "detection", "config": run.model_dump(mode="json"), "model": state, "step": 1})
    return path


def test_two_lines_of_python(checkpoint: Path, tmp_path: Path) -> None:
    """Also: the backbone file that training started from need not be there any more."""
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    write_image(tmp_path / "photo.png", image)
    detector = TextDetector.load(checkpoint, device="cpu")
    from_file, from_array = detector(tmp_path / "photo.png"), detector(image)
    assert from_file
    assert len(from_file) == len(from_array)
    for one, other in zip(from_file, from_array, strict=True):
        assert np.array_equal(one.polygon, other.polygon)
        assert one.score == other.score
        assert one.polygon.min() >= 0
        assert (one.polygon <= [160, 90]).all()
    scores = [found.score for found in from_file]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_a_file_is_seen_upright_and_detections_are_in_stored_pixels(
    checkpoint: Path, tmp_path: Path, orientation: int
) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "photo.png", exif=exif)
    detector = TextDetector.load(checkpoint, device="cpu")
    from_file = detector(tmp_path / "photo.png")
    from_upright = detector(turn_upright(stored, orientation))
    assert len(from_file) == len(from_upright) > 0
    to_stored = upright_to_stored((90, 160), orientation)
    for one, other in zip(from_file, from_upright, strict=True):
        assert one.score == other.score
        expected = transform_polygon(other.polygon, to_stored)  # its points may start elsewhere, and run back
        np.testing.assert_allclose(sorted(one.polygon.tolist()), sorted(expected.tolist()), atol=1e-2)


@pytest.mark.parametrize("shape", [(1, 1), (5, 400), (400, 5), (33, 65)])
def test_any_size_of_image(checkpoint: Path, shape: tuple[int, int]) -> None:
    TextDetector.load(checkpoint, device="cpu")(np.zeros((*shape, 3), dtype=np.uint8))


def test_several_sizes_and_mirroring_by_overrides(checkpoint: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    plain = TextDetector.load(checkpoint, device="cpu")(image)
    several = TextDetector.load(checkpoint, "cpu", ["evaluation.scales=[1,1.5]", "evaluation.flip=true"])(image)
    assert several
    assert {found.score for found in several} != {found.score for found in plain}
    assert [found.score for found in several] == sorted((found.score for found in several), reverse=True)
    with pytest.raises(ConfigError, match=r"evaluation\.flipped is unknown; did you mean flip"):
        TextDetector.load(checkpoint, "cpu", ["evaluation.flipped=true"])
    with pytest.raises(ConfigError, match=r"evaluation\.scales"):
        TextDetector.load(checkpoint, "cpu", ["evaluation.scales=[0]"])


def test_bad_files_are_reported(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg"):
        TextDetector.load(checkpoint, device="cpu")(tmp_path / "none.jpg")
    save_checkpoint(tmp_path / "other.pt", {"kind": "pretraining", "config": {}, "model": {}})
    with pytest.raises(CheckpointError, match="holds a pretraining model, expected detection"):
        TextDetector.load(tmp_path / "other.pt", device="cpu")
