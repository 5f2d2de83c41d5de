"""Published checkpoints as they are, without a conversion: what the file determines, and what has to be given."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from command_process import run_tool
from golden import golden_arrays, golden_json
from scenetext.data.records.images import write_image
from scenetext.errors import CheckpointError, ConfigError
from scenetext.runs.load import load_pretrained, published_task
from scenetext.text.charset import CharacterSet
from scenetext.training.checkpoint import save_checkpoint
from scenetext.weights.files import WeightFile
from scenetext.weights.native import PRETRAINING
from weight_layouts import SMALL_OCLIP, clip_layout, oclip_layout

ASCII = [*range(33, 127)]
TWO_HEADS = {"transformer_heads": 2}


def write_published(path: Path, tensors: dict[str, Tensor]) -> Path:
    state = {f"module.{name}": value for name, value in tensors.items()}
    torch.save({"epoch": 3, "name": "published", "state_dict": state, "optimizer": {}}, path)
    return path


def write_files(folder: Path) -> dict[str, Path]:
    """A small published model, its pickled dictionary, its JSON file and a photograph."""
    files = {name: folder / name for name in ("model.pt", "char_dict", "model.json", "sign.png")}
    write_published(files["model.pt"], oclip_layout())
    files["char_dict"].write_bytes(pickle.dumps(ASCII))
    files["model.json"].write_text(json.dumps({**TWO_HEADS, "vision_layers": [1, 2, 1, 1], "vocab_size": 97}))
    write_image(files["sign.png"], np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8))
    return files


def test_a_published_model_gives_its_own_metrics(tmp_path: Path) -> None:
    """The tiny golden model in the published files: checkpoint with "module.", pickled dictionary, JSON file."""
    stored, golden = golden_arrays("oclip", "tiny_state_dict"), golden_arrays("oclip", "tiny_outputs")
    state = {name.removeprefix("module."): torch.from_numpy(value) for name, value in stored.items()}
    write_published(tmp_path / "tiny.pt", state)
    (tmp_path / "char_dict").write_bytes(pickle.dumps(ASCII))
    (tmp_path / "tiny.json").write_text(json.dumps(golden_json("oclip", "tiny_config.json")["model"]))
    task, is_published = load_pretrained(tmp_path / "tiny.pt", tmp_path / "char_dict", tmp_path / "tiny.json")
    assert is_published
    with torch.no_grad():
        images, texts, mask = (torch.from_numpy(golden[name]) for name in ("images", "texts", "image_mask_some"))
        outputs = task.network(images, texts, mask)
        for found, name in (
            (outputs.character_logits, "text_logits"),
            (outputs.image_features, "image_features"),
            (outputs.text_features, "text_features"),
        ):
            np.testing.assert_allclose(found.numpy(), golden[f"mask.eval.{name}"], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "width"), [("RN101", 64), ("RN50_lsvt", 384)])
def test_full_sizes_follow_from_the_weights(name: str, width: int) -> None:
    shapes = golden_json("oclip", f"keys_{name}.json")["shapes"]
    tensors = {key: torch.zeros(()).expand(one["shape"]) for key, one in shapes.items()}
    characters = None if width == 64 else CharacterSet(map(chr, range(0x4E00, 0x4E00 + 5251)))
    task = published_task(WeightFile(Path(name), tensors, ()), characters, {})
    settings = task.settings
    assert settings.encoder.layers == ((3, 4, 23, 3) if name == "RN101" else (3, 4, 6, 3))
    assert (settings.text_width, settings.input_size, settings.text_heads, settings.decoder_heads) == (width, 512, 8, 8)
    assert task.network.token_embedding.num_embeddings == (97 if width == 64 else 5254)
    assert (settings.word_pooling, settings.clamp_logit_scale) == ("slots", False)


def test_a_dictionary_that_the_weights_do_not_fit_is_refused(tmp_path: Path) -> None:
    tensors = oclip_layout()
    tensors["token_embedding.weight"] = torch.zeros(120, 16)
    tensors["text_class.weight"], tensors["text_class.bias"] = torch.zeros(120, 32), torch.zeros(120)
    file = WeightFile(tmp_path / "wide.pt", tensors, ())
    with pytest.raises(CheckpointError, match=r"wide\.pt: has 120 rows .* printable ASCII needs 97; give the dict"):
        published_task(file, None, TWO_HEADS)
    assert published_task(file, CharacterSet("abc"), TWO_HEADS).characters.characters == ("a", "b", "c")
    with pytest.raises(CheckpointError, match="the dictionary of 200 characters needs 203"):
        published_task(file, CharacterSet(map(chr, range(0x4E00, 0x4E00 + 200))), TWO_HEADS)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"vision_layers": [3, 4, 6, 3]}, r"vision_layers: \[1, 2, 1, 1\] in the weights, \[3, 4, 6, 3\] in"),
        ({"transformer_width": 64, "vocab_size": 97}, "transformer_width: 16 in the weights, 64 in"),
        ({"transformer_heads": 3}, "text_width 16 is not a multiple of text_heads 3"),
    ],
)
def test_the_json_file_of_another_model_is_refused(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    files = write_files(tmp_path)
    files["model.json"].write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=message):
        load_pretrained(files["model.pt"], None, files["model.json"])


def test_a_scenetext_model_names_its_own_dictionary(tmp_path: Path) -> None:
    config = {
        "kind": "pretraining",
        "method": SMALL_OCLIP.model_dump(mode="json"),
        "data": {"train": ["a"], "validation": ["b"]},
        "training": {"steps": 1, "evaluate_every": 1},
    }
    model = {PRETRAINING + name: value for name, value in oclip_layout().items()}
    save_checkpoint(tmp_path / "best.pt", {"kind": "pretraining", "config": config, "model": model, "step": 0})
    (tmp_path / "ascii").write_bytes(pickle.dumps(ASCII))
    (tmp_path / "other").write_text("a\nb\n")
    for dictionary in (None, tmp_path / "ascii"):
        task, is_published = load_pretrained(tmp_path / "best.pt", dictionary)
        assert not is_published
        assert task.settings.word_pooling == "words"
    with pytest.raises(CheckpointError, match="was trained with another dictionary than .*other"):
        load_pretrained(tmp_path / "best.pt", tmp_path / "other")


def test_weights_that_read_nothing_are_refused(tmp_path: Path) -> None:
    torch.save(clip_layout(), tmp_path / "clip.pt")
    with pytest.raises(CheckpointError, match=r"holds CLIP .* expected a scenetext pre-training or published oCLIP"):
        load_pretrained(tmp_path / "clip.pt")


def visualize(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_tool("attention", *arguments, "--device", "cpu")


def test_the_visualiser_takes_the_published_command_line(tmp_path: Path) -> None:
    files = write_files(tmp_path)
    published = visualize(
        *("--model_path", files["model.pt"], "--char_dict_path", files["char_dict"]),
        *("--model_config_file", files["model.json"], "--im_fn", files["sign.png"]),
        *("--text_list", "ST LING", " ODGINGS", "--demo_path", tmp_path / "demo"),
    )
    assert published.returncode == 0, published.stderr
    assert published.stdout.startswith('"ST LING": ')
    names = {path.name for path in (tmp_path / "demo").iterdir() if not path.name.startswith(".")}
    assert names == {"sign_attention.jpg", "sign_image.jpg", "sign_word_1.jpg", "sign_word_2.jpg"}
    missing = visualize(files["model.pt"], "--im_fn", files["sign.png"])
    assert missing.returncode == 2
    assert "give words once: as it is or as --text_list" in missing.stderr
