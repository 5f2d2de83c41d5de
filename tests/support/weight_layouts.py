"""Small random weights in the layouts of published files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scenetext.encoders.clip_image import ClipResNetSettings, PooledClipResNet
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.pretraining.oclip.model import OclipModel
from scenetext.weights.clip import CLIP_VOCABULARY

SMALL: dict[str, Any] = {"layers": (1, 2, 1, 1), "width": 8}
SMALL_OCLIP = OclipSettings(
    encoder=ClipResNetSettings(**SMALL),
    input_size=64,
    embed_dim=32,
    text_width=16,
    text_heads=2,
    text_layers=1,
    decoder_layers=1,
    decoder_heads=2,
)


def randomised(module: nn.Module) -> dict[str, Tensor]:
    """The module's state with every number random, statistics of batch norms too, so that a mix-up shows."""
    for name, value in module.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif value.is_floating_point():
            value.copy_(torch.randn_like(value) * 0.2)
        else:
            value.fill_(7)
    return module.state_dict()


def oclip_layout() -> dict[str, Tensor]:
    """A published oCLIP model."""
    torch.manual_seed(0)
    return randomised(OclipModel(SMALL_OCLIP, 97))


def clip_layout(grid: int = 2, output: int = 24) -> dict[str, Tensor]:
    """An OpenAI or open_clip model; of its text side only what tells it apart, and what OpenAI's archive adds."""
    torch.manual_seed(1)
    encoder = PooledClipResNet(ClipResNetSettings(**SMALL), grid, output)
    return {
        "positional_embedding": torch.randn(77, 2),
        "text_projection": torch.randn(2, output),
        "logit_scale": torch.tensor(1.0),
        "input_resolution": torch.tensor(32 * grid),
        "context_length": torch.tensor(77),
        "vocab_size": torch.tensor(CLIP_VOCABULARY),
        **{f"visual.{name}": value for name, value in randomised(encoder).items()},
        "token_embedding.weight": torch.randn(CLIP_VOCABULARY, 2),
    }


def small_encoder(tensors: dict[str, Tensor]) -> PooledClipResNet:
    """The image encoder of such a layout as its publisher runs it, in evaluation mode."""
    inside = {name.removeprefix("visual."): value for name, value in tensors.items() if name.startswith("visual.")}
    output = len(inside["attnpool.c_proj.weight"])
    encoder = PooledClipResNet(ClipResNetSettings(**SMALL), 2, output)
    encoder.load_state_dict(inside)
    return encoder.eval()


def write_torchscript(path: Path, tensors: dict[str, Tensor]) -> None:
    """A TorchScript archive whose nested modules hold these tensors under these names, as OpenAI's does."""
    root = nn.Module()
    for name, value in tensors.items():
        *parents, last = name.split(".")
        module = root
        for part in parents:
            if part not in dict(module.named_children()):
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        if value.is_floating_point():
            module.register_parameter(last, nn.Parameter(value))
        else:
            module.register_buffer(last, value)
    torch.jit.script(root).save(str(path))


def halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """In half precision as OpenAI's archive: convolutions, projections and attention, not the batch norms."""
    return {name: value.half() if value.ndim >= 2 else value for name, value in tensors.items()}
