"""TCM over several processes: each learns from its images, and none waits for a gradient that never comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_tcm_detectors import batch, build
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from processes import in_processes
from scenetext.distributed import Processes


def two_steps(processes: Processes, encoder: dict[str, Any]) -> dict[str, Tensor]:
    """The gradients of the second step; an unused parameter would stop it."""
    task = build("dbnet", **encoder).train()
    wrapped = DistributedDataParallel(task, broadcast_buffers=False)
    for _ in range(2):
        wrapped.zero_grad()
        losses = wrapped(batch(task, words=1 + processes.rank))
        torch.stack(list(losses.values())).sum().backward()
    return {name: value.grad for name, value in task.named_parameters() if value.grad is not None}


@pytest.mark.slow
@pytest.mark.parametrize("encoder", [{"fast": True}, {"prompts": [], "train_text_encoder": True}])
def test_processes_share_their_gradients(tmp_path: Path, encoder: dict[str, Any]) -> None:
    first, second = in_processes(two_steps, 2, tmp_path, encoder)
    assert not isinstance(first, Exception), first
    assert first.keys() == second.keys()
    assert "encoder.prompts.contexts" in first
    for name, gradient in first.items():
        assert torch.equal(gradient, second[name]), name
