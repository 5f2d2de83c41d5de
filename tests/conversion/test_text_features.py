"""Features of sentences out of CLIP, stored for a TCM without text encoder."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch

from scenetext.commands import convert
from scenetext.conversion.text_features import convert_text_features
from scenetext.encoders.clip_text import ClipTextEncoder, ClipTextSettings
from scenetext.errors import CheckpointError, ConfigError
from scenetext.tcm.attached import AttachedTcmEncoder
from scenetext.tcm.config import PUBLISHED_PROMPT, AttachedTcmSettings
from weight_layouts import SMALL, clip_layout, oclip_layout, randomised

TEXT = ClipTextSettings(width=128, heads=2, layers=2)
PROMPTS = ("many words in a photo.", PUBLISHED_PROMPT)
MODEL = {
    **{"attach": {"encoder": {"name": "clip_resnet", **SMALL}}, "embed_dim": 16, "text": TEXT.model_dump()},
    **{"learnable_prompts": 0, "language_prompt": False, "decoder": {"width": 8, "heads": 2, "layers": 1}},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of CLIP with a text encoder of its heads' width, in half precision as OpenAI has it."""
    torch.manual_seed(0)
    tensors = {**clip_layout(), **randomised(ClipTextEncoder(TEXT, 77, 16))}
    path = tmp_path_factory.mktemp("clip") / "RN50.pt"
    torch.save({name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}, path)
    return path


def encoder(**values: object) -> AttachedTcmEncoder:
    torch.manual_seed(1)
    built = AttachedTcmEncoder(AttachedTcmSettings.model_validate({**MODEL, **values}))
    built.load_weights()
    return built.eval()


@torch.no_grad()
def test_stored_features_guide_as_the_text_encoder_does(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    convert_text_features(clip, path, [*PROMPTS, PROMPTS[0]])
    images = torch.randn(1, 3, 64, 64)
    for prompts in (PROMPTS, PROMPTS[1:]):
        computed, stored = encoder(prompts=prompts, text_weights=clip), encoder(prompts=prompts, text_features=path)
        shared = {name: value for name, value in computed.state_dict().items() if not name.startswith("text_encoder.")}
        stored.load_state_dict(shared, strict=False)
        expected, found = computed(images), stored(images)
        torch.testing.assert_close(found.side["score_map"], expected.side["score_map"], atol=1e-5, rtol=1e-4)
        assert found.side["score_map"].shape[1] == len(prompts)


def test_command_stores_the_published_prompt_and_names_the_settings(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "text.safetensors"
    parser = argparse.ArgumentParser()
    convert.add_arguments(parser)
    convert.run(parser.parse_args(["text-features", str(clip), str(path)]))
    settings = f"encoder.text_features={path} encoder.learnable_prompts=0 encoder.language_prompt=false"
    assert settings in capsys.readouterr().out
    assert encoder(text_features=path).prompts.classes == 1


def test_files_and_sentences_that_give_no_features_are_refused(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "text.safetensors"
    torch.save(oclip_layout(), tmp_path / "oclip.pt")
    with pytest.raises(CheckpointError, match="holds published oCLIP, expected CLIP"):
        convert_text_features(tmp_path / "oclip.pt", target, PROMPTS)
    odd = {**clip_layout(), **randomised(ClipTextEncoder(ClipTextSettings(width=8, heads=2, layers=1), 77, 16))}
    torch.save(odd, tmp_path / "odd.pt")
    with pytest.raises(CheckpointError, match="no projection and blocks of a width that 64 divides"):
        convert_text_features(tmp_path / "odd.pt", target, PROMPTS)
    with pytest.raises(ConfigError, match="the limit here is 77"):
        convert_text_features(clip, target, ["text " * 80])
    with pytest.raises(CheckpointError, match=r"choose a name that ends in \.safetensors"):
        convert_text_features(clip, tmp_path / "text.pt", PROMPTS)
    assert not target.exists()
