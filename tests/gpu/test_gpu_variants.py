"""What is done for speed or memory changes no result: checkpointing, channels last, accumulation, torch.compile."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from device_subjects import Size, Subject, difference, make_subject

pytestmark = pytest.mark.gpu
ALIKE, ALIKE_GRADIENTS = 1e-3, 0.05
"""Relative difference of outputs and losses, and of gradients; see `test_gpu_numbers`."""
SOME = ("dbnet", "pan", "dbnet+tcm", "oclip")
"""A detector, one whose loss depends on data, a score map beside the levels, and two towers."""


def assert_alike(found: Subject, expected: Subject) -> None:
    (figures, gradients), (expected_figures, expected_gradients) = found.gradients(), expected.gradients()
    assert figures == pytest.approx(expected_figures, rel=ALIKE_GRADIENTS, abs=1e-5)
    assert difference(gradients, expected_gradients) < ALIKE_GRADIENTS
    statistics = dict(found.task.named_buffers())
    for label, value in expected.task.named_buffers():
        torch.testing.assert_close(statistics[label], value, rtol=ALIKE, atol=ALIKE)
    assert difference(found.outputs(), expected.outputs()) < ALIKE


@pytest.mark.parametrize("name", SOME)
def test_activation_checkpointing(name: str, device: torch.device, size: Size) -> None:
    assert_alike(make_subject(name, device, size, checkpointing=True), make_subject(name, device, size))


@pytest.mark.parametrize("name", SOME)
def test_channels_last(name: str, device: torch.device, size: Size) -> None:
    last, first = (make_subject(name, device, size) for _ in range(2))
    convolutions = [value for value in last.task.parameters() if value.ndim == 4 and value.shape[1:].numel() > 9]
    assert any(value.is_contiguous(memory_format=torch.channels_last) for value in convolutions)
    first.learner.module.to(memory_format=torch.contiguous_format)
    assert_alike(last, first)


def test_accumulation(device: torch.device, size: Size) -> None:
    """The contrastive loss compares the images of all parts; batch norms hold still, since they see one part."""
    parts, whole = (
        make_subject("oclip", device, size, {"batch_norm": "frozen", "accumulation": count}) for count in (4, 1)
    )
    (figures, gradients), (expected_figures, expected_gradients) = parts.gradients(), whole.gradients()
    assert figures == pytest.approx(expected_figures, rel=ALIKE_GRADIENTS)
    assert difference(gradients, expected_gradients) < ALIKE_GRADIENTS


@pytest.mark.parametrize(("name", "checkpointing"), [("dbnet", False), ("oclip", True)])
def test_compiled(name: str, checkpointing: bool, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny also on a GPU: compiling takes a multiple of what is compiled. Without a break in the graph."""
    torch._dynamo.reset()
    if device.type == "cpu":  # a dry run captures graphs and their gradients, and leaves out making kernels of them
        compiled_call = nn.Module.compile
        monkeypatch.setattr(nn.Module, "compile", lambda module: compiled_call(module, backend="aot_eager"))
    counters.clear()
    compiled = make_subject(name, device, "tiny", {"compile": True}, checkpointing)
    assert_alike(compiled, make_subject(name, device, "tiny", checkpointing=checkpointing))
    assert counters["stats"]["unique_graphs"] > 0
    assert not counters["graph_break"], dict(counters["graph_break"])
