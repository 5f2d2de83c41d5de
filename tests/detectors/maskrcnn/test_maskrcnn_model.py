from __future__ import annotations

import pytest
import torch

from golden import golden_json
from maskrcnn_golden import golden_head, levels, mmocr_name, tensors
from scenetext.detectors.maskrcnn.config import MaskRCNNSettings
from scenetext.detectors.maskrcnn.model import head
from scenetext.errors import ConfigError
from scenetext.structures import Features

STRIDES = (4, 8, 16, 32, 64)


@torch.no_grad()
def test_pyramid_and_anchors_equal_the_published_ones() -> None:
    golden = tensors("forward")
    maps = golden_head()(levels())
    for index, stride in enumerate(STRIDES):
        if index < 4:
            torch.testing.assert_close(maps[f"features_{stride}"], golden[f"fpn_{index}"], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(maps[f"objectness_{stride}"], golden[f"rpn_cls_{index}"], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(maps[f"offset_{stride}"], golden[f"rpn_reg_{index}"], atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("image", [0, 1])
def test_what_is_seen_at_boxes_equals_the_published(image: int) -> None:
    golden, network = tensors("forward"), golden_head()
    maps = {name: value[image : image + 1] for name, value in network(levels()).items()}
    proposals = golden[f"proposals_{image}"][None]
    found = network.later["boxes"](maps, {"box": proposals, "valid": torch.ones(proposals.shape[:2]) > 0})
    published = golden[f"box_cls_{image}"]
    torch.testing.assert_close(found["text"][0], published[:, 0] - published[:, 1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found["offset"][0], golden[f"box_reg_{image}"], atol=1e-4, rtol=1e-4)
    boxes = golden[f"boxes_{image}"][None]
    masks = network.later["masks"](maps, {"box": boxes, "valid": torch.ones(boxes.shape[:2]) > 0})
    torch.testing.assert_close(masks["logits"][0, :, 0], golden[f"mask_logits_{image}"], atol=1e-4, rtol=1e-4)


def test_names_and_shapes_are_those_of_the_published_model() -> None:
    listed = golden_json("detectors", "state_dict_keys.json")["mask-rcnn_resnet50-oclip_fpn_160e_ctw1500"]["state_dict"]
    published = {name: tuple(shape) for name, shape, _ in listed if not name.startswith("wrapped_model.backbone.")}
    with torch.device("meta"):
        state = head(MaskRCNNSettings(), (256, 512, 1024, 2048)).state_dict()
    assert {mmocr_name(name): tuple(tensor.shape) for name, tensor in state.items()} == published


def test_what_is_seen_at_a_box_does_not_depend_on_the_others() -> None:
    torch.manual_seed(0)
    network = head(MaskRCNNSettings(pyramid_channels=4, box_channels=8, mask_channels=4), (4, 4, 4, 4))
    maps = network(Features(tuple(torch.randn(2, 4, 32 // scale, 48 // scale) for scale in (1, 2, 4, 8))))
    boxes = torch.tensor([[[10.0, 10, 60, 30], [0, 0, 120, 120]], [[5, 80, 25, 90], [0, 0, 0, 0]]])
    valid = torch.tensor([[True, True], [True, False]])
    for look in network.later.values():
        together = look(maps, {"box": boxes, "valid": valid})
        alone = look({name: value[1:] for name, value in maps.items()}, {"box": boxes[1:, :1], "valid": valid[1:, :1]})
        for name, value in alone.items():
            torch.testing.assert_close(together[name][1, 0], value[0, 0], atol=1e-5, rtol=1e-5)
            assert not together[name][1, 1].any(), "not valid, so not looked at"


def test_encoder_with_another_number_of_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match="four levels"):
        head(MaskRCNNSettings(), (8, 8, 8))
