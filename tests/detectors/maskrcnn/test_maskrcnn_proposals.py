"""Anchors, what they are matched with, proposals, and the boxes that get a mask."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor
from torchvision.ops import box_iou

from maskrcnn_golden import HEIGHT, IMAGES, SETTINGS, WIDTH, arrays, golden_head, levels, sample, tensors
from scenetext.contracts import Maps, Targets
from scenetext.detectors.maskrcnn.anchors import all_anchors, anchors_of_level
from scenetext.detectors.maskrcnn.config import ANCHOR_DEVIATIONS, STRIDES, AnchorSettings, MaskRCNNSettings
from scenetext.detectors.maskrcnn.proposals import (
    cut_masks,
    find_boxes,
    find_proposals,
    propose_anchors,
    propose_boxes,
    propose_masks,
)
from scenetext.detectors.maskrcnn.targets import targets
from scenetext.layers.boxes import encode_boxes, match_boxes

every_image = pytest.mark.parametrize("image", IMAGES)


def generator() -> Generator:
    return Generator().manual_seed(0)


def golden_maps(image: int) -> dict[str, Tensor]:
    with torch.no_grad():
        return {name: value[image] for name, value in golden_head()(levels()).items()}


def golden_targets(image: int) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in targets(sample(image), SETTINGS).items()}


def match_by_name(found: Tensor, published: Tensor, allowed: float) -> None:
    """The boxes are the same set, but for a share of them."""
    near = (torch.cdist(found, published, p=float("inf")) < 1e-2).any(dim=1)
    assert (~near).float().mean() <= allowed
    assert abs(len(found) - len(published)) <= allowed * len(published)


def test_anchors_are_those_of_the_paper_by_hand() -> None:
    """Stride 8, two by two map pixels, a ratio of 4: 16 wide, 64 high; row by row around the corners of the pixels."""
    found = anchors_of_level(torch.zeros(1, 2, 2), 8, AnchorSettings(ratios=(4.0,)))
    assert found.tolist() == [[-8, -32, 8, 32], [0, -32, 16, 32], [-8, -24, 8, 40], [0, -24, 16, 40]]


@pytest.mark.parametrize("index", range(5))
def test_anchors_equal_the_published_ones(index: int) -> None:
    published = tensors("forward")[f"base_anchors_{index}"]
    torch.testing.assert_close(anchors_of_level(torch.zeros(5, 1, 1), STRIDES[index], AnchorSettings()), published)


@every_image
def test_anchors_are_matched_as_published(image: int) -> None:
    golden, settings = tensors("loss"), AnchorSettings()
    anchors, texts = all_anchors(golden_maps(image), settings), golden[f"gt_boxes_{image}"]
    found = match_boxes(anchors, texts, settings.positive_iou, settings.negative_iou, settings.least_best_iou)
    assert torch.equal(found.int(), golden[f"rpn_assigned_{image}"])
    index = golden[f"rpn_target_index_{image}"].long()
    offsets = encode_boxes(anchors[index], texts[found[index] - 1], ANCHOR_DEVIATIONS)
    torch.testing.assert_close(offsets, golden[f"rpn_box_targets_{image}"], atol=1e-5, rtol=1e-5)


@every_image
def test_proposals_are_matched_as_published(image: int) -> None:
    golden = tensors("loss")
    texts = golden[f"gt_boxes_{image}"]
    candidates = torch.cat((texts, golden[f"train_proposals_{image}"]))
    assert torch.equal(match_boxes(candidates, texts, 0.5, 0.5, 0.5).int(), golden[f"rcnn_assigned_{image}"])


@every_image
def test_proposals_equal_the_published_ones(image: int) -> None:
    """But for one in a hundred behind equal scores, which an unstable sort orders."""
    found = find_proposals(golden_maps(image), SETTINGS, (HEIGHT, WIDTH), learning=False)
    match_by_name(found, tensors("forward")[f"proposals_{image}"], 0.01)
    found = find_proposals(golden_maps(image), SETTINGS, (HEIGHT, WIDTH), learning=True)
    match_by_name(found, tensors("loss")[f"train_proposals_{image}"], 0.01)


@every_image
def test_boxes_of_texts_equal_the_published_ones(image: int) -> None:
    golden = tensors("forward")
    scores = golden[f"box_cls_{image}"]
    maps = {
        "boxes.valid": torch.ones(len(scores)) > 0,
        "boxes.box": golden[f"proposals_{image}"],
        "boxes.text": scores[:, 0] - scores[:, 1],
        "boxes.offset": golden[f"box_reg_{image}"],
    }
    boxes, logits = find_boxes(maps, SETTINGS, (HEIGHT, WIDTH))
    torch.testing.assert_close(boxes, golden[f"boxes_{image}"], atol=2e-3, rtol=0)
    torch.testing.assert_close(logits.sigmoid(), golden[f"scores_{image}"], atol=1e-4, rtol=1e-4)


@every_image
def test_mask_targets_are_the_published_ones_but_for_their_borders(image: int) -> None:
    """Crops of 112 x 112 in place of bitmaps of the image: some 1.5 % of the pixels differ, all on borders."""
    golden = arrays("loss")
    first = 0 if image == 0 else int(golden["rcnn_num_positive_0"])
    count = int(golden[f"rcnn_num_positive_{image}"])
    published = torch.from_numpy(golden["mask_targets"][first : first + count])
    made, text = golden_targets(image), torch.from_numpy(golden[f"rcnn_positive_gt_{image}"]).long()
    real = made["kinds"] == 1
    boxes = torch.from_numpy(golden[f"rcnn_boxes_{image}"][:count])
    found = cut_masks(made["crops"][real][text], made["boxes"][real][text], boxes)
    differs = found != published
    assert differs.float().mean() < 0.02
    padded = torch.nn.functional.pad(published[:, None].float(), (1, 1, 1, 1), mode="replicate")
    inner = torch.nn.functional.max_pool2d(padded, 3, 1) == -torch.nn.functional.max_pool2d(-padded, 3, 1)
    assert not (differs & inner[:, 0]).any()


def maps_of(height: int = 64, width: int = 96) -> dict[str, Tensor]:
    """Maps of one image, as an untrained head gives them."""
    drawn = torch.Generator().manual_seed(1)
    maps = {}
    for stride in STRIDES:
        size = (-(-height // stride), -(-width // stride))
        maps[f"objectness_{stride}"] = torch.randn(5, *size, generator=drawn)
        maps[f"offset_{stride}"] = 0.1 * torch.randn(20, *size, generator=drawn)
    return maps


def truth(boxes: list[list[float]], kinds: list[int]) -> Targets:
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "kinds": torch.tensor(kinds, dtype=torch.uint8),
        "crops": torch.ones((len(boxes), 1, 112, 112), dtype=torch.uint8),
    }


WORD, AREA, NOTHING = [8.0, 8, 40, 24], [48.0, 0, 96, 64], [0.0, 0, 0, 0]


def test_drawn_anchors_are_text_and_background_in_the_shares_of_the_settings() -> None:
    settings = MaskRCNNSettings()
    maps, texts = maps_of(), truth([WORD, NOTHING], [1, 0])
    found = propose_anchors(maps, texts, settings, generator())
    label = found["label"] > 0
    assert len(label) == settings.anchors.samples
    assert 1 <= label.sum() <= settings.anchors.samples / 2
    overlap = box_iou(all_anchors(maps, settings.anchors)[found["index"]], texts["boxes"][:1])[:, 0]
    assert (overlap[label] >= 0.3).all()
    assert (overlap[~label] < 0.3).all()
    assert not found["wanted"][~label].any()
    assert len(found["index"].unique()) == len(label)


def test_anchors_and_proposals_in_ignored_text_are_excluded_or_as_published_background() -> None:
    ignored = torch.tensor([AREA])

    def inside(ours: MaskRCNNSettings) -> tuple[int, int]:
        maps, texts = maps_of(), truth([WORD, AREA], [1, 2])
        anchors = all_anchors(maps, ours.anchors)[propose_anchors(maps, texts, ours, generator())["index"]]
        boxes = propose_boxes(maps, texts, ours, generator())["box"]
        counts = []
        for found in (anchors, boxes):
            low, high = torch.maximum(found[:, :2], ignored[:, :2]), torch.minimum(found[:, 2:], ignored[:, 2:])
            share = (high - low).clamp(min=0).prod(dim=1) / (found[:, 2:] - found[:, :2]).prod(dim=1)
            counts.append(int((share > 0.5).sum()))
        return counts[0], counts[1]

    assert inside(MaskRCNNSettings()) == (0, 0)
    assert min(inside(MaskRCNNSettings(ignored_text="background"))) > 10


def test_a_text_in_an_ignored_area_is_still_learnt() -> None:
    found = propose_boxes(maps_of(), truth([WORD, [0, 0, 64, 64]], [1, 2]), MaskRCNNSettings(), generator())
    assert found["box"][0].tolist() == WORD
    assert found["label"][0] == 1


def test_boxes_of_texts_are_among_the_proposals_and_get_their_own_mask() -> None:
    texts = truth([NOTHING, WORD, WORD, [50.0, 30, 90, 60]], [0, 1, 1, 1])
    texts["crops"][2] = 0  # the second word of the two in one place is empty
    settings = MaskRCNNSettings()
    found = propose_boxes(maps_of(), texts, settings, generator())
    assert found["box"][:3].tolist() == [WORD, WORD, [50, 30, 90, 60]]
    assert found["matched"][:3].tolist() == [0, 1, 2]
    assert not found["wanted"][:3].any()
    maps = {f"boxes.{name}": value for name, value in found.items()} | {"boxes.valid": found["label"] >= 0}
    masks = propose_masks(maps, texts, settings, generator())
    assert torch.equal(masks["box"][:3], found["box"][:3])
    assert [bool(mask.all()) for mask in masks["wanted"][:3]] == [True, False, True]


def test_draws_follow_the_generator_alone() -> None:
    maps, texts = maps_of(), truth([WORD], [1])

    def drawn(seed: int) -> Maps:
        return propose_anchors(maps, texts, MaskRCNNSettings(), Generator().manual_seed(seed))

    torch.manual_seed(5)
    first = drawn(3)
    torch.manual_seed(6)
    assert torch.equal(first["index"], drawn(3)["index"])
    assert not torch.equal(first["index"], drawn(4)["index"])


@torch.no_grad()
def test_an_image_without_any_proposal_has_no_boxes() -> None:
    """All moved anchors lie outside: the box head and the mask head see one place that is not valid."""
    maps = {name: torch.full_like(value, 50.0) if "offset" in name else value for name, value in maps_of().items()}
    settings = MaskRCNNSettings()
    assert not len(propose_boxes(maps, None, settings, generator())["box"])
    nothing = {"boxes.valid": torch.zeros(1) > 0, "boxes.text": torch.zeros(1)}
    nothing |= {"boxes.box": torch.zeros(1, 4), "boxes.offset": torch.zeros(1, 4)}
    assert propose_masks({**maps, **nothing}, None, settings, generator())["box"].shape == (0, 4)
