from __future__ import annotations

import pytest
import torch
from torch import Tensor

from golden import golden_json
from maskrcnn_golden import IMAGES, SETTINGS, golden_head, levels, mmocr_name, tensors
from scenetext.detectors.maskrcnn.loss import loss
from scenetext.layers.stages import pad_proposals

TERMS = {
    "anchor_text": [f"loss_rpn_cls_{index}" for index in range(5)],
    "anchor_offset": [f"loss_rpn_bbox_{index}" for index in range(5)],
    "box_text": ["loss_cls"],
    "box_offset": ["loss_bbox"],
    "mask": ["loss_mask"],
}


def drawn_anchors(golden: dict[str, Tensor], image: int) -> dict[str, Tensor]:
    positive, negative = golden[f"rpn_positive_{image}"].long(), golden[f"rpn_negative_{image}"].long()
    order = {int(index): row for row, index in enumerate(golden[f"rpn_target_index_{image}"])}
    wanted = golden[f"rpn_box_targets_{image}"][[order[int(index)] for index in positive]]
    return {
        "index": torch.cat((positive, negative)),
        "label": torch.cat((torch.ones(len(positive)), torch.zeros(len(negative)))),
        "wanted": torch.cat((wanted, torch.zeros(len(negative), 4))),
    }


def drawn_boxes(golden: dict[str, Tensor], image: int) -> dict[str, Tensor]:
    rows = slice(512 * image, 512 * (image + 1))
    label = 1 - golden["rcnn_labels"][rows].float()
    wanted = golden["rcnn_box_targets"][rows]
    return {"box": golden[f"rcnn_boxes_{image}"], "label": label, "wanted": wanted}


def drawn_masks(golden: dict[str, Tensor], image: int) -> dict[str, Tensor]:
    counts = [int(golden[f"rcnn_num_positive_{index}"]) for index in IMAGES]
    first = sum(counts[:image])
    boxes = golden[f"rcnn_boxes_{image}"][: counts[image]]
    return {"box": boxes, "wanted": golden["mask_targets"][first : first + counts[image]]}


def test_losses_and_gradients_equal_the_published_ones() -> None:
    """On the anchors and proposals that were drawn there."""
    golden, values = tensors("loss"), golden_json("maskrcnn", "loss_values.json")
    network, features = golden_head(), levels(requires_grad=True)
    maps = dict(network(features))
    for name, drawn in (("anchors", drawn_anchors), ("boxes", drawn_boxes), ("masks", drawn_masks)):
        proposals = pad_proposals([drawn(golden, image) for image in IMAGES])
        looks = network.later[name](maps, proposals) if name in network.later else {}
        maps |= {f"{name}.{key}": value for key, value in {**proposals, **looks}.items()}
    terms = loss(maps, {}, SETTINGS)
    for name, parts in TERMS.items():
        assert terms[name].item() == pytest.approx(sum(values[part] for part in parts), rel=1e-4), name
    torch.stack(list(terms.values())).sum().backward()
    published = values["grad_l2/parameters"]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        expected = published[mmocr_name(name).removeprefix("wrapped_model.")]
        assert parameter.grad.norm().item() == pytest.approx(expected, rel=2e-3), name
    for level, expected in zip(features.levels, values["grad_l2/levels"], strict=True):
        assert level.grad is not None
        assert level.grad.norm().item() == pytest.approx(expected, rel=2e-3)


def test_terms_by_hand() -> None:
    """One place of each kind; logits of 0, offsets off by 2 in one coordinate; the place that is not valid is off."""
    maps = {f"objectness_{stride}": torch.zeros(1, 5, 1, 1) for stride in (4, 8, 16, 32, 64)}
    maps |= {f"offset_{stride}": torch.ones(1, 20, 1, 1) for stride in (4, 8, 16, 32, 64)}
    label, valid = torch.tensor([[1.0, 0, 1]]), torch.tensor([[True, True, False]])
    wanted = torch.tensor([[[1.0, 1, 1, 3], [9, 9, 9, 9], [9, 9, 9, 9]]])
    index = torch.tensor([[0, 24, 3]])
    maps |= {"anchors.index": index, "anchors.label": label, "anchors.valid": valid, "anchors.wanted": wanted}
    maps |= {"boxes.label": label, "boxes.valid": valid, "boxes.wanted": wanted}
    maps |= {"boxes.text": torch.tensor([[0.0, 0, 99]]), "boxes.offset": torch.ones(1, 3, 4)}
    maps |= {"masks.valid": torch.tensor([[True, False]]), "masks.wanted": torch.ones(1, 2, 28, 28)}
    maps |= {"masks.logits": torch.zeros(1, 2, 1, 28, 28)}
    terms = {name: term.item() for name, term in loss(maps, {}, SETTINGS).items()}
    half = pytest.approx(0.6931472)
    assert terms == {"anchor_text": half, "anchor_offset": 1, "box_text": half, "box_offset": 1, "mask": half}
