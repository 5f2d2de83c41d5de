"""torch.compile takes what it is given whole, and changes nothing; kernels, which take long to make, are left out."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from device_subjects import difference, make_subject

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_module = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: compile_module(module, backend="aot_eager"))
    torch._dynamo.reset()
    counters.clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "checkpointing"),
    [("dbnet+tcm", False), ("pan", False), ("fcenet+fasttcm", True), ("oclip", True)],
    ids=["score map", "loss of its own", "checkpointing", "two towers, checkpointing"],
)
def test_a_compiled_step_has_no_break_and_the_same_numbers(name: str, checkpointing: bool) -> None:
    """Where activations are computed again in the backward pass, running statistics still move once."""
    compiled = make_subject(name, CPU, training={"compile": True}, checkpointing=checkpointing)
    plain = make_subject(name, CPU, checkpointing=checkpointing)
    (figures, gradients), (expected_figures, expected) = compiled.gradients(), plain.gradients()
    assert figures == pytest.approx(expected_figures, rel=1e-4, abs=1e-6)
    assert difference(gradients, expected) < 1e-3
    for label, value in plain.task.named_buffers():
        torch.testing.assert_close(compiled.task.get_buffer(label), value, rtol=1e-4, atol=1e-5, msg=label)
    assert counters["stats"]["unique_graphs"] >= len(compiled.task.compiled_parts())
    assert not counters["graph_break"], dict(counters["graph_break"])
    assert difference(compiled.outputs(), plain.outputs()) < 1e-4
