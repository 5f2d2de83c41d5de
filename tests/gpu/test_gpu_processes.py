"""Several processes on GPUs, as far as one GPU can say: NCCL with one process, two on gloo that share the GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from device_subjects import Size, difference, make_subject
from processes import in_processes
from scenetext.distributed import Processes
from scenetext.training import learner as learner_module

pytestmark = pytest.mark.gpu
ALIKE = 0.05
"""Relative difference of gradients in fp32; see `test_gpu_numbers`."""


def batch_norm_on(device: str) -> str:
    """Synchronised batch norms where there are such, or ones that do not look at the batch."""
    return "synchronized" if device == "cuda:0" else "frozen"


def one_wrapped_step(processes: Processes, name: str, device: str, size: Size) -> tuple[str, dict[str, Tensor]]:
    """A step through DistributedDataParallel, which a single process does not need otherwise."""
    _hold_fp32()
    subject = make_subject(name, torch.device(device), size, {"batch_norm": batch_norm_on(device)})
    wrapped = learner_module._distributed(subject.learner.module, torch.device(device))
    assert isinstance(wrapped, DistributedDataParallel)
    subject.learner._forward = wrapped
    _, gradients = subject.gradients()
    subject.learner.update()
    return dist.get_backend(), gradients


@pytest.mark.parametrize("name", ["dbnet", "oclip"])
def test_one_process(name: str, device: torch.device, size: Size, tmp_path: Path) -> None:
    (result,) = in_processes(one_wrapped_step, 1, tmp_path, name, str(device), size, device=str(device))
    assert not isinstance(result, Exception), result
    backend, gradients = result
    assert backend == ("nccl" if device.type == "cuda" else "gloo")
    _, expected = make_subject(name, device, size, {"batch_norm": batch_norm_on(str(device))}).gradients()
    assert difference(gradients, expected) < ALIKE


def shared_step(processes: Processes, device: str, size: Size) -> dict[str, Any]:
    """A step on this process's half of the images; NCCL would refuse two processes on one GPU."""
    _hold_fp32()
    subject = make_subject("oclip", torch.device(device), size, {"batch_norm": batch_norm_on(device)}, False, processes)
    kinds = {
        type(part).__name__ for part in subject.task.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)
    }
    subject.batch = subject.batch.micro_batches(processes.count)[processes.rank]
    figures, gradients = subject.gradients()
    subject.learner.update()
    weights = {name: value.detach().cpu() for name, value in subject.task.named_parameters()}
    statistics = {name: value.cpu() for name, value in subject.task.named_buffers() if name.endswith("running_mean")}
    return {"figures": figures, "gradients": gradients, "weights": weights, "kinds": kinds, "statistics": statistics}


def test_two_processes_share_the_gpu_and_learn_what_one_does(device: torch.device, size: Size, tmp_path: Path) -> None:
    results = in_processes(shared_step, 2, tmp_path, str(device), size)
    assert not any(isinstance(result, Exception) for result in results), results
    whole = make_subject("oclip", device, size, {"batch_norm": batch_norm_on(str(device))})
    figures, expected = whole.gradients()
    for result in results:
        assert result["kinds"] == ({"SyncBatchNorm"} if device.type == "cuda" else {"BatchNorm2d"})
        assert difference(result["gradients"], expected) < ALIKE
        assert result["figures"]["gradient_norm"] == pytest.approx(figures["gradient_norm"], rel=ALIKE)
        assert all(torch.equal(value, results[0]["weights"][name]) for name, value in result["weights"].items())
        for name, value in result["statistics"].items():
            torch.testing.assert_close(value, results[0]["statistics"][name], msg=name)
    for term in ("loss", "character", "contrastive"):
        assert sum(result["figures"][term] for result in results) / 2 == pytest.approx(figures[term], rel=1e-3)


def _hold_fp32() -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
