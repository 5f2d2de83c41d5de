"""Where a TCM encoder's weights come from: files of CLIP, scenetext and papers; the error for a file without text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from scenetext.errors import CheckpointError
from scenetext.layers.transformer import resize_positions
from scenetext.tcm.config import TcmSettings
from scenetext.tcm.encoder import TcmEncoder
from scenetext.weights.files import read_weights
from scenetext.weights.published_tcm import PROJECTION, published_name
from scenetext.weights.sources import PUBLISHED_TCM, SCENETEXT_TCM_DETECTOR, identify_source
from weight_layouts import SMALL, clip_layout, halved, oclip_layout, randomised, write_torchscript

TOKENS = [[49406, 518, 4160, 49407]]
SIZES: dict[str, Any] = {
    **SMALL,
    "input_size": 96,
    "embed_dim": 24,
    "learnable_prompts": 3,
    "text": {"width": 8, "heads": 2, "layers": 1},
    "decoder": {"width": 8, "heads": 2, "layers": 1},
}


def encoder(**values: Any) -> TcmEncoder:
    torch.manual_seed(3)
    return TcmEncoder(TcmSettings.model_validate({**SIZES, **values}), TOKENS)


def whole_clip() -> dict[str, Tensor]:
    """A CLIP model with its text side, of 77 positions."""
    torch.manual_seed(4)
    text = TcmEncoder(TcmSettings.model_validate({**SIZES, "context_length": 77}), TOKENS).text_encoder
    return {**clip_layout(), **randomised(text)}


def saved(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save(tensors, path)
    return path


def load(path: Path | None, **values: Any) -> tuple[TcmEncoder, str]:
    loaded = encoder(weights=path, **values)
    return loaded, "\n".join(loaded.load_weights())


def text_is_that_of(loaded: TcmEncoder, clip: dict[str, Tensor]) -> bool:
    state = loaded.text_encoder.state_dict()
    return all(torch.equal(value, clip[name][: len(value)]) for name, value in state.items())


def test_clip_fills_both_sides(tmp_path: Path) -> None:
    clip = whole_clip()
    loaded, remarks = load(saved(tmp_path / "clip.pt", clip))
    assert torch.equal(loaded.image.conv1.weight, clip["visual.conv1.weight"])
    assert torch.equal(loaded.image.attnpool.c_proj.weight, clip["visual.attnpool.c_proj.weight"])
    positions = clip["visual.attnpool.positional_embedding"]
    resized = resize_positions(positions[1:], 3, 3)
    assert torch.equal(loaded.image.attnpool.positional_embedding[1:], resized)
    assert text_is_that_of(loaded, clip)
    assert "positions resized from 2 x 2 to 3 x 3" in remarks
    assert "the first 7 of 77 positions" in remarks
    assert "transformer" not in remarks.partition("dropped:")[2].splitlines()[0], "taken by the text encoder"


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    clip = {name: value.half() if value.is_floating_point() else value for name, value in whole_clip().items()}
    loaded, _ = load(saved(tmp_path / "clip.pt", clip))
    assert loaded.text_encoder.text_projection.dtype == torch.float32
    assert text_is_that_of(loaded, {name: value.float() for name, value in clip.items()})


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_openais_archive_fills_both_sides(tmp_path: Path) -> None:
    """RN50.pt as it is published: a TorchScript archive, weights in half precision, numbers among them."""
    clip = halved({**whole_clip(), "input_resolution": torch.tensor(64), "context_length": torch.tensor(77)})
    write_torchscript(tmp_path / "RN50.pt", clip)
    loaded, remarks = load(tmp_path / "RN50.pt")
    single = {name: value.float() for name, value in clip.items()}
    assert torch.equal(loaded.image.conv1.weight, single["visual.conv1.weight"])
    assert torch.equal(loaded.image.attnpool.c_proj.weight, single["visual.attnpool.c_proj.weight"])
    assert text_is_that_of(loaded, single)
    assert "the first 7 of 77 positions" in remarks


def test_scenetext_pretraining_fills_the_image_side_and_clip_the_text_side(tmp_path: Path) -> None:
    """The published oCLIP layout and that of scenetext's pre-training differ by a prefix alone."""
    tensors, clip = oclip_layout(), whole_clip()
    path = saved(tmp_path / "best.pt", {f"network.{name}": value for name, value in tensors.items()})
    loaded, remarks = load(path, text_weights=saved(tmp_path / "clip.pt", clip))
    assert torch.equal(loaded.image.conv1.weight, tensors["visual.conv1.weight"])
    assert text_is_that_of(loaded, clip)
    assert "a scenetext pre-training" in remarks
    assert "attention pool: dropped, its output projection is (32, 256), the model's (24, 256)" in remarks
    assert "clip.pt: attention pool: loaded, positions resized from 2 x 2 to 3 x 3" in remarks
    assert torch.equal(loaded.image.attnpool.c_proj.weight, clip["visual.attnpool.c_proj.weight"])


def test_file_without_text_asks_for_one(tmp_path: Path) -> None:
    path = saved(tmp_path / "oclip.pt", oclip_layout())
    with pytest.raises(CheckpointError, match=r"oclip.pt: holds no text encoder of CLIP's.*encoder.text_weights=FILE"):
        load(path)
    with pytest.raises(CheckpointError, match=r"encoder.weights names no file.*encoder.text_weights=none"):
        load(None)
    with pytest.raises(CheckpointError, match=r"oclip.pt: holds no text encoder of CLIP's 49408 tokens"):
        load(None, text_weights=path)


def test_random_text_is_a_choice_that_is_reported(tmp_path: Path) -> None:
    clip = whole_clip()
    loaded, remarks = load(saved(tmp_path / "clip.pt", clip), text_weights="none")
    assert not text_is_that_of(loaded, clip)
    assert "text encoder: random and frozen, as encoder.text_weights=none says" in remarks


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"layers": (1, 1, 1, 1)}, r"unknown to the model: layer2.1"),
        ({"width": 16}, r"of another shape: conv1.weight"),
        ({"embed_dim": 16}, r"text_projection: file \(8, 24\), model \(8, 16\)"),
        ({"text": {"width": 8, "heads": 2, "layers": 3}}, r"missing from the file: transformer.resblocks.1"),
    ],
)
def test_clip_of_another_architecture_is_refused(tmp_path: Path, values: dict[str, Any], problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem):
        load(saved(tmp_path / "clip.pt", whole_clip()), **values)


def test_vision_transformers_are_refused(tmp_path: Path) -> None:
    clip = {name: value for name, value in whole_clip().items() if not name.startswith("visual.")}
    clip["visual.transformer.resblocks.0.ln_1.weight"] = torch.ones(8)
    path = saved(tmp_path / "vit.pt", clip)
    with pytest.raises(CheckpointError, match="no known source"):
        load(path)
    loaded, _ = load(None, text_weights=path)
    assert text_is_that_of(loaded, clip), "its text side fits where its sizes do"


def scenetext_detector(**values: Any) -> dict[str, Tensor]:
    torch.manual_seed(7)
    other = TcmEncoder(TcmSettings.model_validate({**SIZES, **values}), TOKENS)
    state = {f"encoder.{name}": value for name, value in randomised(other).items()}
    return {**state, "head.pyramid.lateral.0.weight": torch.ones(1)}


def test_scenetext_detector_with_tcm_fills_everything(tmp_path: Path) -> None:
    """As for fine-tuning what was trained on synthetic text; the detector's own part stays out of it."""
    tensors = scenetext_detector()
    assert identify_source(tensors) is SCENETEXT_TCM_DETECTOR
    loaded, remarks = load(saved(tmp_path / "best.pt", tensors))
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, tensors[f"encoder.{name}"]), name
    assert "TCM's own parts:" in remarks
    assert "dropped: head (1)" in remarks


def test_parts_missing_from_the_file_stay_as_they_are_and_are_reported(tmp_path: Path) -> None:
    loaded, remarks = load(
        saved(tmp_path / "best.pt", scenetext_detector(visual_prompt=False, learnable_prompts=4)), fast=True
    )
    fresh = encoder(fast=True)
    assert loaded.visual_prompt is not None
    assert fresh.visual_prompt is not None
    name = "out_proj.1.weight"
    assert torch.equal(loaded.visual_prompt.get_parameter(name), fresh.visual_prompt.get_parameter(name))
    random = remarks.partition("not in the file, left as initialised: ")[2]
    assert "visual_prompt (" in random
    assert "prompts (2)" in random, "the learnt vectors, whose number differs, and the meta query"
    assert "similarity (1)" in random


def test_fewer_positions_than_the_prompts_need_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="its text encoder has 5 positions, the prompts of this run need 7"):
        load(saved(tmp_path / "best.pt", scenetext_detector(learnable_prompts=1)))


def test_published_detector_fills_everything(tmp_path: Path) -> None:
    tensors = scenetext_detector(fast=True)
    published = {
        published_name(name.removeprefix("encoder.")) or "": value.T if name.endswith(PROJECTION) else value
        for name, value in tensors.items()
        if name.startswith("encoder.")
    }
    assert identify_source(published) is PUBLISHED_TCM
    loaded, _ = load(saved(tmp_path / "tcm.pth", {"state_dict": published}), fast=True)
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, tensors[f"encoder.{name}"]), name
    assert read_weights(tmp_path / "tcm.pth").tensors.keys() == published.keys()
