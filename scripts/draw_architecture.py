"""Draws oCLIP and TCM from the models themselves: shapes, parameters and what is frozen are those of one forward pass.

Writes docs/figures/oclip.svg and docs/figures/tcm.svg; `--check` changes nothing and fails where one is out of date.

Usage: python scripts/draw_architecture.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import torch
from torch import Tensor, nn

from diagram import Diagram
from scenetext.detectors import find_detector
from scenetext.pretraining.oclip.model import OclipModel
from scenetext.runs.encoders import build_encoder
from scenetext.runs.settings import DetectionRun, PretrainingRun, load_run
from scenetext.text.charset import CharacterSet

FIGURES = Path(__file__).resolve().parents[1] / "docs" / "figures"
LEGEND = (("image", "image side"), ("text", "text side"), ("joint", "image and text"), ("loss", "loss"))


class Seen:
    """Modules of a model and what came out of them in one forward pass.

    Args:
        model: is put into evaluation mode.
        names: of the modules that are asked for later.
        inputs: of the forward pass.

    Attributes:
        result: what the model returned.
    """

    def __init__(self, model: nn.Module, names: Sequence[str], *inputs: Any) -> None:
        self.modules = {name: model.get_submodule(name) for name in names}
        self.outputs: dict[str, Any] = {}
        hooks = [
            module.register_forward_hook(lambda _module, _input, output, name=name: self.outputs.update({name: output}))
            for name, module in self.modules.items()
        ]
        with torch.no_grad():
            self.result = model.eval()(*inputs)
        for hook in hooks:
            hook.remove()

    def shape(self, name: str) -> str:
        """The shape of what a module gave."""
        return shape(self.outputs[name])

    def size(self, name: str) -> str:
        """The module's name and parameters in millions, and whether it is frozen."""
        parameters = list(self.modules[name].parameters())
        millions = sum(parameter.numel() for parameter in parameters) / 1e6
        return f"{name}, {millions:.2g} M" + (", frozen" if self.frozen(name) else "")

    def frozen(self, name: str) -> bool:
        """Whether nothing in it learns."""
        return not any(parameter.requires_grad for parameter in self.modules[name].parameters())


def shape(tensor: Tensor) -> str:
    """A shape, with B for the one image of the batch."""
    first = "B" if tensor.shape[0] == 1 else str(tensor.shape[0])
    return " × ".join([first, *map(str, tensor.shape[1:])])


def oclip() -> Diagram:
    """oCLIP at its published size (Xue et al., ECCV 2022, figure 2)."""
    settings = load_run(["oclip", "rn50", "synthtext"], PretrainingRun).method
    characters = CharacterSet.english()
    model = OclipModel(settings, characters.vocabulary_size)
    images = torch.zeros(1, 3, settings.input_size, settings.input_size)
    words = torch.ones(1, settings.maximum_words, settings.context_length, dtype=torch.long)
    words[..., -1] = characters.end
    names = ("visual", "visual.attnpool", "transformer", "transformer_decoder", "text_class")
    seen = Seen(model, names, images, words)
    levels = seen.outputs["visual"].levels
    feature = shape(seen.result.image_features)

    drawing = Diagram("oCLIP: image, known words, decoder and both losses", 1150, 440)
    image = drawing.box((20, 60), (150, 80), "data", "image", shape(images))
    tower = drawing.box((210, 35), (200, 130), "image", "CLIP ResNet-50", seen.size("visual"), *map(shape, levels))
    pool = drawing.box(
        (450, 60), (200, 80), "image", "attention pool", seen.size("visual.attnpool"), seen.shape("visual.attnpool")
    )
    contrast = drawing.box(
        (930, 60), (200, 80), "loss", "contrastive loss", "images and their words", f"{feature} each"
    )
    known = drawing.box((20, 320), (150, 80), "data", "known words", "one character hidden", shape(words))
    text = drawing.box(
        (210, 320), (200, 80), "text", "text encoder", seen.size("transformer"), seen.shape("transformer")
    )
    embedding = shape(seen.result.word_embeddings)
    words_box = drawing.box((450, 320), (200, 80), "text", "word embeddings", "read at the end mark", embedding)
    decoder = drawing.box(
        (690, 190), (200, 80), "joint", "decoder", seen.size("transformer_decoder"), seen.shape("transformer_decoder")
    )
    character = drawing.box(
        (930, 190), (200, 80), "loss", "character loss", "of the hidden characters", seen.shape("text_class")
    )
    for start, end in ((image, tower), (tower, pool), (known, text), (text, words_box), (decoder, character)):
        drawing.arrow(start.right, end.left)
    drawing.arrow(pool.right, contrast.left, label=f"mean position, {feature}", at=(690, 92))
    places = seen.outputs["visual.attnpool"].shape[1] - 1
    drawing.arrow(pool.bottom, (550, 230), decoder.left, label=f"{places} keys, values", at=(560, 222))
    drawing.arrow((650, 345), (790, 345), decoder.bottom, label="queries", at=(670, 338))
    drawing.arrow((650, 375), (910, 375), (910, 120), (930, 120), label=f"mean over words, {feature}", at=(670, 392))
    drawing.legend((20, 415), LEGEND)
    return drawing


def tcm() -> Diagram:
    """TCM with DBNet at the size of its training crops (Yu et al., CVPR 2023, figure 2)."""
    run: Any = load_run(["dbnet", "icdar2015", "tcm"], DetectionRun)
    encoder: Any = build_encoder(run.encoder)
    images = torch.zeros(1, 3, *run.transform.size)
    names = ("image", "image.attnpool", "text_encoder", "prompts", "visual_prompt", "refinement")
    seen = Seen(encoder, names, images)
    features = seen.result
    head = Seen(find_detector(run.detector.name).head(run.detector, encoder.channels), (), features)
    level = run.encoder.score_levels[0]
    maps = "; ".join(dict.fromkeys(map(shape, head.result.values())))

    drawing = Diagram("TCM: CLIP's image and text side, score map, and DBNet as its detector", 1190, 520)
    image = drawing.box((20, 60), (140, 80), "data", "image", shape(images))
    tower = drawing.box(
        (200, 35), (210, 130), "image", "CLIP ResNet-50", seen.size("image"), *map(shape, seen.outputs["image"].levels)
    )
    joined = drawing.box((700, 35), (200, 130), "joint", f"score map joins level {level}", *map(shape, features.levels))
    detector = drawing.box((970, 60), (200, 80), "image", "DBNet", *head.result, maps)
    pool = drawing.box(
        (200, 230), (210, 80), "image", "attention pool", seen.size("image.attnpool"), seen.shape("image.attnpool")
    )
    visual = drawing.box(
        (460, 230), (200, 80), "joint", "visual prompt", seen.size("visual_prompt"), seen.shape("visual_prompt")
    )
    score = drawing.box(
        (700, 230), (200, 80), "joint", "cosine with the text", "score map", shape(features.side["score_map"])
    )
    loss = drawing.box((970, 230), (200, 80), "loss", "matching loss", "score map and text region")
    learnt = f"{run.encoder.learnable_prompts} learnt vectors"
    lines = wrap(f"“{run.encoder.prompts[0]}”", 22)
    sentence = drawing.box((20, 390), (150, 80), "data", "sentence", *lines)
    prompts = drawing.box((200, 390), (210, 80), "text", "prompt", f"sentence, {learnt},", "language prompt")
    text = drawing.box(
        (460, 390), (200, 80), "text", "CLIP text encoder", seen.size("text_encoder"), seen.shape("text_encoder"),
        dashed=seen.frozen("text_encoder"),
    )  # fmt: skip
    refined = drawing.box(
        (700, 390), (200, 80), "joint", "refined text", seen.size("refinement"), seen.shape("refinement")
    )
    pairs = ((image, tower), (tower, joined), (joined, detector), (pool, visual), (visual, score), (score, loss))
    for start, end in (*pairs, (sentence, prompts), (prompts, text), (text, refined)):
        drawing.arrow(start.right, end.left)
    drawing.arrow(tower.bottom, pool.top)
    drawing.arrow(pool.bottom, prompts.top, label="global feature", at=(312, 365))
    drawing.arrow(text.top, visual.bottom)
    drawing.arrow(refined.top, score.bottom)
    drawing.arrow(score.top, joined.bottom)
    drawing.arrow((390, 310), (390, 345), (740, 345), (740, 390), label="all positions", at=(400, 338))
    drawing.legend((20, 495), LEGEND)
    return drawing


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes both figures, or checks them.

    Raises:
        SystemExit: with `--check`, a figure is out of date.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a figure is out of date")
    check = parser.parse_args(arguments).check
    for draw in DRAWINGS:
        path = FIGURES / f"{draw.__name__}.svg"
        content = draw().svg()
        if not check:
            path.write_text(content, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != content:
            sys.exit(f"{path}: is out of date; python scripts/draw_architecture.py writes it")


DRAWINGS = (oclip, tcm)
"""What makes the figures; each gives its file the name."""

if __name__ == "__main__":
    main()
