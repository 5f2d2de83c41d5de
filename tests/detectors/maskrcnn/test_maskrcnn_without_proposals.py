"""Images in which nothing is found, neither by anchors nor by boxes, on their own and beside others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from detector_subjects import make_subject
from scenetext.detectors.maskrcnn.model import MaskRCNNHead
from scenetext.structures import Features, Sample
from text_samples import make_sample, word

SUBJECT = make_subject("maskrcnn")
WORD = word(np.array([(20, 20), (80, 20), (80, 44), (20, 44)], np.float32))


def features(count: int) -> Features:
    generator = torch.Generator().manual_seed(0)
    return Features(tuple(torch.randn(count, 8, 64 // s, 96 // s, generator=generator) for s in (4, 8, 16, 32)))


def blind() -> MaskRCNNHead:
    """A head that moves all anchors out of the image, to the right: the ends that are cut off have no width."""
    network = SUBJECT.head()
    assert isinstance(network, MaskRCNNHead)
    with torch.no_grad():
        network.rpn.offset.weight.zero_()
        network.rpn.offset.bias.fill_(90.0)
    return network


def uncertain() -> MaskRCNNHead:
    """A head whose boxes are all background."""
    network = SUBJECT.head()
    assert isinstance(network, MaskRCNNHead)
    with torch.no_grad():
        network.later["boxes"].classes.bias.copy_(torch.tensor([-20.0, 20.0]))  # type: ignore[union-attr]
    return network


@pytest.mark.parametrize("make", [blind, uncertain])
@pytest.mark.parametrize("count", [1, 2])
@torch.no_grad()
def test_nothing_is_detected(make: type[MaskRCNNHead], count: int) -> None:
    maps = SUBJECT.maps(make().eval(), features(count), None)
    assert not maps["masks.valid"].any()
    assert maps["masks.logits"].shape == (count, 1, 1, 28, 28)
    assert SUBJECT.spec.decode(maps, SUBJECT.config) == [[]] * count


def losses(samples: list[Sample]) -> dict[str, Tensor]:
    """The losses of a blind head, after their gradients have reached every parameter."""
    network, targets = blind(), SUBJECT.targets(samples)
    terms = SUBJECT.spec.loss(SUBJECT.maps(network, features(len(samples)), targets), targets, SUBJECT.config)
    torch.stack(list(terms.values())).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    return terms


def test_without_text_only_the_anchors_are_learnt_from() -> None:
    terms = losses([make_sample([], (64, 96))])
    assert {name for name, term in terms.items() if term != 0} == {"anchor_text"}


@pytest.mark.parametrize("empty", [0, 1])
def test_the_box_of_a_text_is_a_proposal_of_its_own(empty: int) -> None:
    """Beside an image without any."""
    samples = [make_sample([WORD], (64, 96)), make_sample([], (64, 96))]
    terms = losses(samples if empty else samples[::-1])
    assert all(term > 0 for term in terms.values())
