"""The attention reader: steps, loss and beams as published for Mask TextSpotter; beams equal an exhaustive search."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.recognition.attention import (
    UNKNOWN,
    AttentionReader,
    AttentionSettings,
    sequence_loss,
    sequence_targets,
)
from scenetext.recognition.beams import NOTHING, beam_search
from scenetext.spotters.mask_textspotter.published import NAMES
from spotting_golden import arrays_of, load_published

END = 37
READER_NAMES = {
    name.removeprefix("later.masks.reader."): foreign.removeprefix("roi_heads.mask.")
    for name, foreign in NAMES.items()
    if name.startswith("later.masks.reader.")
}


@pytest.fixture(scope="module")
def published() -> dict[str, np.ndarray]:
    return arrays_of("mask_head")


@pytest.fixture(scope="module")
def reader(published: dict[str, np.ndarray]) -> AttentionReader:
    made = AttentionReader(AttentionSettings(size=(8, 32), channels=16, codes="learnt"), 4, 36)
    load_published(made, published, READER_NAMES, "param/")
    return made


@pytest.fixture(scope="module")
def features(published: dict[str, np.ndarray]) -> Tensor:
    """What the mask head gives the reader."""
    weight, bias = (torch.from_numpy(published[f"param/predictor.conv5_mask.{name}"]) for name in ("weight", "bias"))
    return F.relu(F.conv_transpose2d(torch.from_numpy(published["output/masked_features"]), weight, bias, stride=2))


def walk(transitions: Tensor) -> object:
    """A step of a reader whose next character depends on the last one alone."""
    return lambda ids, states: (transitions.log()[ids], states)


def test_steps_and_loss_are_the_published_ones(
    reader: AttentionReader, features: Tensor, published: dict[str, np.ndarray]
) -> None:
    torch.testing.assert_close(
        reader.encode(features).detach(), torch.from_numpy(published["output/encoded"]), atol=4e-3, rtol=0
    )
    fed = np.pad(published["decoder_targets"][:, :-1], ((0, 0), (1, 0)))
    steps = reader(features, torch.from_numpy(fed))["steps"]
    probabilities = steps.exp()[:, :4].transpose(0, 1).detach()
    torch.testing.assert_close(probabilities, torch.from_numpy(published["steps/probabilities"]), atol=1e-4, rtol=0)
    loss = 0.2 * sequence_loss(steps, torch.from_numpy(published["word_targets"]))
    assert loss.item() == pytest.approx(float(published["train/loss_seq"]), rel=1e-4)
    reader.zero_grad()
    loss.backward()
    for name, parameter in (
        ("attn.v", reader.score),
        ("x_onehot", reader.columns),
        ("rnn.weight_hh", reader.cell.weight_hh),
    ):
        gradient = torch.from_numpy(published[f"gradient/{name}"])
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-4, rtol=0)


def test_readings_are_the_published_ones(
    reader: AttentionReader, features: Tensor, published: dict[str, np.ndarray]
) -> None:
    with torch.no_grad():
        found = {name: value.numpy() for name, value in reader(features, None).items()}
    characters = "?0123456789abcdefghijklmnopqrstuvwxyz"
    words = ["".join(characters[each] for each in ids if 0 < each < END) for ids in found["ids"]]
    assert words == published["beam/words"].tolist()
    steps = published["beam/scores"].shape[1]
    np.testing.assert_allclose(found["probabilities"][:, :steps], np.maximum(published["beam/scores"], 0), atol=1e-4)
    np.testing.assert_allclose(
        found["distributions"][:, :steps], np.maximum(published["beam/distributions"], 0), atol=1e-4
    )


@pytest.mark.parametrize("case", range(4))
def test_beams_are_the_published_ones(case: int) -> None:
    arrays = {name.partition("/")[2]: value for name, value in arrays_of("beam_search").items() if name[0] == str(case)}
    found = beam_search(
        walk(torch.from_numpy(arrays["transitions"])), torch.zeros(1, 1), 0, END, 6, int(arrays["max_length"])
    )
    steps = found.ids.shape[2]
    np.testing.assert_array_equal(found.ids[0], arrays["ids"][:, 1 : steps + 1])
    assert (arrays["ids"][:, steps + 1 :] == NOTHING).all()
    scores = np.where(found.ids[0] == NOTHING, 0, arrays["scores"][:, 1 : steps + 1])
    np.testing.assert_allclose(found.probabilities[0], scores, atol=1e-6)
    best = arrays["best_cumulative_distributions"]
    np.testing.assert_allclose(found.distributions[0, 0, : len(best)], best, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_enough_beams_find_the_likeliest_of_all_readings(seed: int) -> None:
    """Three characters and four steps: every reading is tried."""
    transitions = torch.rand(5, 5, generator=torch.Generator().manual_seed(seed)).softmax(dim=1)
    readings = {}
    for length in range(4):
        for ids in product((1, 2, 3), repeat=length):
            path = (0, *ids, 4)
            readings[path[1:]] = np.prod([transitions[a, b] for a, b in pairwise(path)])
    for ids in product((1, 2, 3), repeat=4):
        path = (0, *ids)
        readings[ids] = np.prod([transitions[a, b] for a, b in pairwise(path)])
    best = max(readings, key=lambda path: readings[path])
    for best_only in (False, True):
        found = beam_search(walk(transitions), torch.zeros(2, 1), 0, 4, 100, 4, best_only)
        for region in (0, 1):
            assert tuple(each for each in found.ids[region, 0].tolist() if each != NOTHING) == best


def test_regions_are_read_by_themselves(reader: AttentionReader, features: Tensor) -> None:
    with torch.no_grad():
        together, alone = reader(features, None)["ids"], reader(features[2:3], None)["ids"]
    assert torch.equal(together[2, : alone.shape[1]], alone[0])


def test_start_is_never_read_and_an_end_at_once_is_the_empty_reading() -> None:
    transitions = torch.tensor([[0.6, 0.1, 0.3]]).repeat(3, 1)
    found = beam_search(walk(transitions), torch.zeros(1, 1), 0, 2, 2, 5)
    assert found.ids[0, 0].tolist()[0] == 2
    assert 0 not in found.ids.flatten().tolist()
    torch.testing.assert_close(found.probabilities[0, 0, 0], torch.tensor(0.3))


def test_what_is_fed_and_asked() -> None:
    ids, length = torch.tensor([[3, 4], [5, 0], [0, 0]]), torch.tensor([2, 1, 0])
    fed, asked = sequence_targets(ids, length, 4, 9)
    assert fed.tolist() == [[0, 3, 4, 9], [0, 5, 9, 9], [0, 9, 9, 9]]
    assert asked.tolist() == [[3, 4, 9, UNKNOWN], [5, 9, UNKNOWN, UNKNOWN], [UNKNOWN] * 4]


def test_the_loss_of_a_text_does_not_see_what_follows_its_end() -> None:
    steps = torch.randn(2, 4, 6).log_softmax(dim=2).requires_grad_()
    asked = torch.tensor([[1, 2, 5, UNKNOWN], [UNKNOWN] * 4])
    found = sequence_loss(steps, asked)
    expected = -(steps[0, 0, 1] + steps[0, 1, 2] + steps[0, 2, 5])
    torch.testing.assert_close(found, expected)
    found.backward()
    assert steps.grad is not None
    assert not steps.grad[0, 3].any()
    assert not steps.grad[1].any()
    assert sequence_loss(steps, torch.full((2, 4), UNKNOWN)) == 0


def test_fixed_codes_are_no_parameters() -> None:
    made = AttentionReader(AttentionSettings(size=(2, 4), channels=8), 4, 3)
    assert {"columns", "rows", "codes"} & dict(made.named_parameters()).keys() == set()
    assert torch.equal(made.columns, torch.eye(4))
