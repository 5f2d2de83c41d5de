"""Where Mask R-CNN looks: anchors and boxes that are learnt from, proposals, and the boxes that get a mask.

The first three functions are the `propose` of a stage (`contracts.Stage`), for one image; what is drawn comes from the
generator that they get.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torchvision.ops import batched_nms, nms, roi_align

from scenetext.contracts import Maps, Proposals, Targets
from scenetext.detectors.maskrcnn.anchors import all_anchors, anchor_lists, anchors_of_level, input_size
from scenetext.detectors.maskrcnn.config import (
    ANCHOR_DEVIATIONS,
    BOX_DEVIATIONS,
    MASK_SIZE,
    STRIDES,
    MaskRCNNSettings,
)
from scenetext.detectors.maskrcnn.targets import CROP_SIZE, IGNORED, TEXT
from scenetext.geometry.candidates import count_cut
from scenetext.layers.boxes import (
    BACKGROUND,
    EXCLUDED,
    clip_boxes,
    decode_boxes,
    draw_boxes,
    encode_boxes,
    match_boxes,
    mostly_inside,
)


def propose_anchors(maps: Maps, targets: Targets | None, config: MaskRCNNSettings, generator: Generator) -> Proposals:
    """The anchors that are learnt from; none in evaluation.

    Returns:
        index: (P,) int64, which of all anchors.
        label: (P,) float32, 1 = text, 0 = background.
        wanted: (P, 4), offset to the box of the text; 0 for background.
    """
    some = maps[f"objectness_{STRIDES[0]}"]
    if targets is None:
        index = torch.zeros(0, dtype=torch.int64, device=some.device)
        return {"index": index, "label": some.new_zeros(0), "wanted": some.new_zeros((0, 4))}
    settings = config.anchors
    anchors, texts = all_anchors(maps, settings), targets["boxes"][targets["kinds"] == TEXT]
    matched = match_boxes(anchors, texts, settings.positive_iou, settings.negative_iou, settings.least_best_iou)
    matched = exclude_ignored(matched, anchors, targets, config)
    positive, background = draw_boxes(matched, settings.samples, settings.positive_share, generator)
    wanted = encode_boxes(anchors[positive], texts[matched[positive] - 1], ANCHOR_DEVIATIONS)
    return _labelled({"index": torch.cat((positive, background))}, wanted, len(background))


def propose_boxes(maps: Maps, targets: Targets | None, config: MaskRCNNSettings, generator: Generator) -> Proposals:
    """In evaluation the best anchors, moved; in training a choice of these and of the boxes of texts.

    Returns:
        box: (P, 4).
        In training also label: (P,) float32, 1 = text, 0 = background; wanted: (P, 4) offset to the box of the text, 0
        for background; matched: (P,) int64, which text it is, 0 for background.
    """
    boxes = find_proposals(maps, config, input_size(maps), learning=targets is not None)
    if targets is None:
        return {"box": boxes}
    settings = config.boxes
    texts = targets["boxes"][targets["kinds"] == TEXT]
    candidates = torch.cat((texts, boxes))
    limit = settings.positive_iou
    matched = exclude_ignored(match_boxes(candidates, texts, limit, limit, limit), candidates, targets, config)
    # Whatever it overlaps, the box of a text is that text's.
    matched[: len(texts)] = torch.arange(1, 1 + len(texts), device=matched.device)
    positive, background = draw_boxes(matched, settings.samples, settings.positive_share, generator)
    chosen = torch.cat((positive, background))
    text = (matched[chosen] - 1).clamp(min=0)
    wanted = encode_boxes(candidates[positive], texts[text[: len(positive)]], BOX_DEVIATIONS)
    return _labelled({"box": candidates[chosen], "matched": text}, wanted, len(background))


def propose_masks(maps: Maps, targets: Targets | None, config: MaskRCNNSettings, generator: Generator) -> Proposals:
    """In evaluation the boxes that are text; in training the proposals that are.

    Returns:
        box: (P, 4).
        In evaluation also text: (P,) logits of its box. In training also wanted: (P, 28, 28) uint8, 1 = text.
    """
    if targets is None:
        box, logits = find_boxes(maps, config, input_size(maps))
        return {"box": box, "text": logits}
    positive = maps["boxes.valid"] & (maps["boxes.label"] > 0)
    box, text = maps["boxes.box"][positive], maps["boxes.matched"][positive]
    is_text = targets["kinds"] == TEXT
    return {"box": box, "wanted": cut_masks(targets["crops"][is_text][text], targets["boxes"][is_text][text], box)}


def find_proposals(maps: Maps, config: MaskRCNNSettings, size: tuple[float, float], learning: bool) -> Tensor:
    """The best anchors of one image, moved and cut at its borders, without those that overlap better ones.

    Args:
        size: (height, width) of the image.

    Returns:
        (P, 4) float32, best first.
    """
    settings = config.proposals
    per_level = settings.per_level * (2 if learning else 1)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for index, (logits, offsets) in enumerate(zip(*anchor_lists(maps), strict=True)):
        anchors = anchors_of_level(maps[f"objectness_{STRIDES[index]}"], STRIDES[index], config.anchors)
        best = logits.topk(min(per_level, len(logits)))
        boxes = decode_boxes(anchors[best.indices], offsets[best.indices], ANCHOR_DEVIATIONS)
        found.append((clip_boxes(boxes, *size), best.values, torch.full_like(best.indices, index)))
    boxes, logits, level = (torch.cat(parts) for parts in zip(*found, strict=True))
    extended = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    boxes, logits, level = boxes[extended], logits[extended], level[extended]
    return boxes[batched_nms(boxes, logits, level, settings.overlap_threshold)[: settings.count]]


def find_boxes(maps: Maps, config: MaskRCNNSettings, size: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """The boxes of text of one image, moved once more and cut at its borders: (P, 4), and their logits (P,)."""
    settings = config.decoding
    valid = maps["boxes.valid"]
    logits = maps["boxes.text"][valid]
    boxes = decode_boxes(maps["boxes.box"][valid], maps["boxes.offset"][valid], BOX_DEVIATIONS)
    boxes = clip_boxes(boxes, *size)
    likely = (logits.sigmoid() > settings.score_threshold) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    boxes, logits = boxes[likely], logits[likely]
    best_first = nms(boxes, logits, settings.overlap_threshold)
    count_cut(len(best_first) - settings.maximum_texts)
    kept = best_first[: settings.maximum_texts]
    return boxes[kept], logits[kept]


def exclude_ignored(matched: Tensor, boxes: Tensor, targets: Targets, config: MaskRCNNSettings) -> Tensor:
    """As `match_boxes` gives it, without the background that may well be text: boxes in ignored text."""
    if config.ignored_text == "background":
        return matched
    ignored = mostly_inside(boxes, targets["boxes"][targets["kinds"] == IGNORED])
    return torch.where(ignored & (matched == BACKGROUND), EXCLUDED, matched)


def cut_masks(crops: Tensor, texts: Tensor, boxes: Tensor) -> Tensor:
    """What of a text is in a box around it or beside it.

    Args:
        crops: (P, 1, S, S) uint8, the text in its own box.
        texts, boxes: (P, 4), its box, and the one that is cut out.

    Returns:
        (P, 28, 28) uint8, 1 where at least half of the pixel is text.
    """
    corner, size = texts[:, :2], texts[:, 2:] - texts[:, :2]
    inside = (boxes.reshape(-1, 2, 2) - corner[:, None]) / size[:, None] * CROP_SIZE
    index = torch.arange(len(boxes), device=boxes.device)
    regions = torch.cat((index.to(boxes)[:, None], inside.flatten(1)), dim=1)
    return (roi_align(crops.float(), regions, MASK_SIZE, aligned=True)[:, 0] >= 0.5).to(torch.uint8)


def _labelled(proposals: dict[str, Tensor], wanted: Tensor, backgrounds: int) -> Proposals:
    """With label and wanted offsets, where the positive ones (P, 4) come first."""
    label = torch.cat((wanted.new_ones(len(wanted)), wanted.new_zeros(backgrounds)))
    return {**proposals, "label": label, "wanted": torch.cat((wanted, wanted.new_zeros((backgrounds, 4))))}
