"""Where Mask TextSpotter looks again: at proposals, and at the boxes that are text (`contracts.Stage`)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor
from torchvision.ops import nms

from scenetext.contracts import Maps, Proposals, Targets
from scenetext.geometry.candidates import count_cut
from scenetext.layers.boxes import BACKGROUND, EXCLUDED, decode_boxes, draw_boxes, encode_boxes, match_boxes
from scenetext.layers.region_masks import polygon_masks
from scenetext.spotters.mask_textspotter.characters import character_target
from scenetext.spotters.mask_textspotter.config import BOX_DEVIATIONS, MaskTextSpotterSettings
from scenetext.spotters.mask_textspotter.proposals import find_proposals, stack_polygons
from scenetext.spotters.mask_textspotter.targets import IGNORED

_NEVER = 2.0
"""An IoU that no box has: none is matched for being the best of its text."""

_OF_TEXTS = ("polygons", "text_ids", "text_length", "character_quads", "character_ids")
"""Targets that have a row for every text."""


def propose_boxes(
    maps: Maps, targets: Targets | None, config: MaskTextSpotterSettings, generator: Generator
) -> Proposals:
    """In evaluation the proposals; in training a choice of these and of the boxes of texts.

    Returns:
        box: (P, 4), polygon: (P, V, 2).
        In training also label: (P,) float32, 1 = text; wanted: (P, 4), offset to its box, 0 for background; matched:
        (P,) int64, index of its text + 1.
    """
    probability = maps["probability"].sigmoid()
    found = find_proposals(probability.cpu().numpy(), config.proposals, targets is not None, config.published)
    box = torch.from_numpy(np.array([one.box for one in found], np.float32).reshape(-1, 4)).to(probability.device)
    polygon = torch.from_numpy(stack_polygons([one.polygon for one in found])).to(probability.device)
    if targets is None:
        return {"box": box, "polygon": polygon}
    known = targets["kinds"] > 0
    box, polygon = torch.cat((box, targets["boxes"][known])), torch.cat((polygon, targets["polygons"][known]))
    matched = match_to_texts(box, targets["boxes"][known], targets["kinds"][known] == IGNORED, config)
    positive, background = draw_boxes(matched, config.boxes.samples, config.boxes.positive_share, generator)
    text = targets["boxes"][known][matched[positive] - 1]
    wanted = encode_boxes(spanned(box[positive]), spanned(text), BOX_DEVIATIONS)
    chosen = torch.cat((positive, background))
    return {
        "box": box[chosen],
        "polygon": polygon[chosen],
        "matched": matched[chosen],
        "label": (matched[chosen] > BACKGROUND).float(),
        "wanted": torch.cat((wanted, wanted.new_zeros((len(background), 4)))),
    }


def propose_masks(
    maps: Maps, targets: Targets | None, config: MaskTextSpotterSettings, generator: Generator
) -> Proposals:
    """In evaluation the boxes that are text; in training some of the proposals that are, with what is to be found.

    Returns:
        box: (P, 4), polygon: (P, V, 2).
        In evaluation also text: (P,), logits of the box.
        In training also wanted: (P, S, S) uint8, 1 = text; wanted_characters: (P, S, S) int64, see `character_target`;
        What the recogniser learns from, (P, ...).
    """
    if targets is None:
        return find_boxes(maps, config)
    learnt = maps["boxes.valid"] & (maps["boxes.label"] > 0)
    chosen, _ = draw_boxes(torch.where(learnt, 1, EXCLUDED), config.boxes.masks, 1.0, generator)
    box, text = maps["boxes.box"][chosen], maps["boxes.matched"][chosen] - 1
    known = targets["kinds"] > 0
    truth = {name: targets[name][known][text] for name in _OF_TEXTS}
    size = 2 * config.masks.cells
    return {
        "box": box,
        "polygon": maps["boxes.polygon"][chosen],
        "wanted": polygon_masks(truth["polygons"], box, size).to(torch.uint8),
        "wanted_characters": _character_targets(truth, box, size, config.masks.character_shrink),
        **config.recognizer.targets(truth["text_ids"], truth["text_length"]),
    }


def match_to_texts(boxes: Tensor, texts: Tensor, ignored: Tensor, config: MaskTextSpotterSettings) -> Tensor:
    """Which text every box (P, 4) is to find, as `match_boxes` gives it; those that find ignored text are excluded.

    Args:
        texts: (N, 4); ignored: (N,) bool.
    """
    least = config.boxes.positive_iou
    matched = match_boxes(spanned(boxes), spanned(texts), least, least, _NEVER)
    lost = torch.cat((ignored.new_zeros(1), ignored))[matched.clamp(min=0)]
    return torch.where(lost, EXCLUDED, matched)


def find_boxes(maps: Maps, config: MaskTextSpotterSettings) -> dict[str, Tensor]:
    """The boxes of text of one image, moved and cut at its borders, each with the polygon of its own proposal.

    Returns:
        box: (P, 4), polygon: (P, V, 2), text: (P,), logits; best first.
    """
    valid = maps["boxes.valid"]
    logits, polygon = maps["boxes.text"][valid], maps["boxes.polygon"][valid]
    box = decode_boxes(spanned(maps["boxes.box"][valid]), maps["boxes.offset"][valid], BOX_DEVIATIONS)
    height, width = maps["probability"].shape[-2:]
    box = (box - _whole_pixels(box)).clamp(min=0)
    box = torch.minimum(box, box.new_tensor((width - 1, height - 1, width - 1, height - 1)))
    likely = (logits.sigmoid() >= config.decoding.score_threshold) & (box[:, 2:] - box[:, :2] >= 1).all(dim=1)
    box, polygon, logits = box[likely], polygon[likely], logits[likely]
    kept = nms(spanned(box), logits, config.boxes.overlap_threshold)
    count_cut(len(kept) - config.boxes.count)
    kept = kept[: config.boxes.count]
    return {"box": box[kept], "polygon": polygon[kept], "text": logits[kept]}


def spanned(boxes: Tensor) -> Tensor:
    """Boxes (P, 4) of whole pixels, from the first to the last, as boxes of real numbers: the last pixel counts."""
    return boxes + _whole_pixels(boxes)


def _whole_pixels(boxes: Tensor) -> Tensor:
    return boxes.new_tensor((0, 0, 1, 1))


def _character_targets(truth: Targets, boxes: Tensor, size: int, shrink: float) -> Tensor:
    """(P, size, size) int64, drawn on the host."""
    arrays = [truth[name].cpu().numpy() for name in ("character_quads", "character_ids")]
    drawn = [
        character_target(quads, ids, box, size, shrink)
        for quads, ids, box in zip(*arrays, boxes.cpu().numpy(), strict=True)
    ]
    return torch.from_numpy(np.array(drawn, np.int64).reshape(-1, size, size)).to(boxes.device)
