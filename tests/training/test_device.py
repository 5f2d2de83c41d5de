from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from scenetext.errors import ConfigError, DeviceError
from scenetext.training import device as device_module
from scenetext.training.device import (
    architecture_is_covered,
    explained_device_errors,
    fast_precision,
    overlooked_gpu,
    resolve_device,
    resolve_precision,
    use_deterministic_algorithms,
)


@pytest.mark.parametrize(
    ("capability", "built", "covered"),
    [
        ((7, 0), ["sm_75", "sm_80", "sm_90"], False),
        ((7, 0), ["sm_50", "sm_60", "sm_70", "sm_75"], True),
        ((8, 6), ["sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_80"], False),
        ((12, 0), ["sm_90", "compute_90"], True),
        ((9, 0), ["sm_90a"], True),
        ((7, 0), [], False),
    ],
    ids=[
        "V100 on a recent wheel",
        "V100 on cu126",
        "minor",
        "older minor",
        "major",
        "intermediate code",
        "suffix",
        "none",
    ],
)
def test_which_gpus_a_build_has_kernels_for(capability: tuple[int, int], built: list[str], covered: bool) -> None:
    assert architecture_is_covered(capability, built) is covered


def test_gpu_that_is_not_there_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"sees no GPU.*--device cpu"):
        resolve_device("cuda")
    assert resolve_device("auto").type == "cpu"


def test_gpu_without_kernels_is_refused_with_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_90"])
    with pytest.raises(DeviceError, match=r"no kernels for Tesla V100 \(sm_70\).*pip install.*cu126"):
        resolve_device("cuda")
    assert resolve_device("auto").type == "cpu"
    assert "no kernels for Tesla V100" in str(overlooked_gpu(torch.device("cpu"))), "the run says why it is on the CPU"
    assert overlooked_gpu(torch.device("cuda", 0)) is None
    with pytest.raises(DeviceError, match="there are 1 GPUs"):
        resolve_device("cuda:3")


@pytest.mark.parametrize("name", ["gpu", "meta", "tpu:0"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="use auto, cpu, cuda"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("asked", "capability", "given"),
    [("auto", (7, 0), "fp16"), ("auto", (8, 0), "bf16"), ("fp16", (9, 0), "fp16"), ("fp32", (7, 0), "fp32")],
)
def test_precision_on_gpus(
    monkeypatch: pytest.MonkeyPatch, asked: device_module.Precision, capability: tuple[int, int], given: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert resolve_precision(asked, torch.device("cuda", 0)) == given


def test_emulated_bf16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Tesla V100")
    with pytest.raises(DeviceError, match="only emulated on Tesla V100"):
        resolve_precision("bf16", torch.device("cuda", 0))


def test_precision_on_a_cpu() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) == "fp32"
    assert resolve_precision("bf16", cpu) == "bf16"
    with pytest.raises(DeviceError, match="needs a GPU"):
        resolve_precision("fp16", cpu)


FULL = (
    torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.00 GiB is "
        "free. Including non-PyTorch memory, this process has 70 GiB in use."
    ),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: can't allocate memory: you tried ..."),
)


@pytest.mark.parametrize("error", FULL, ids=["torch", "cuDNN", "CPU"])
def test_full_memory_is_one_message_that_says_what_to_lower(error: RuntimeError) -> None:
    with pytest.raises(DeviceError) as raised, explained_device_errors(torch.device("cuda", 0), "lower the batch"):
        raise error
    message = str(raised.value)
    assert message.startswith("memory of cuda:0 ran out: lower the batch. torch says: ")
    assert message.endswith(str(error).partition(". Including")[0])


def test_other_errors_of_torch_stay_what_they_are() -> None:
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory")):
        with pytest.raises(type(error)) as raised, explained_device_errors(torch.device("cpu"), ""):
            raise error
        assert raised.value is error


@pytest.fixture
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts back what the deterministic mode changes in this process."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    benchmark = torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = benchmark


@pytest.mark.usefixtures("_as_before")
def test_deterministic_mode_holds_torch_and_cublas(monkeypatch: pytest.MonkeyPatch) -> None:
    use_deterministic_algorithms()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    undecided = RuntimeError(
        "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you set "
        "'torch.use_deterministic_algorithms(True)'. You can turn off determinism just for this operation"
    )
    with pytest.raises(ConfigError, match=r"training\.deterministic: .*adaptive_avg_pool2d_backward_cuda"):  # noqa: SIM117
        with explained_device_errors(torch.device("cpu"), ""):
            raise undecided
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    with pytest.raises(ConfigError, match=r"CUBLAS_WORKSPACE_CONFIG=:0:0.*unset it"):
        use_deterministic_algorithms()


@pytest.mark.parametrize(
    ("flags", "expected"), [("flags : sse2 avx512_bf16 fma", "bf16"), ("flags : avx512f", "auto"), (None, "auto")]
)
def test_bf16_is_fast_on_cpus_with_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str | None, expected: str
) -> None:
    description = tmp_path / "cpuinfo"
    if flags is not None:
        description.write_text(flags)
    monkeypatch.setattr(device_module, "_CPU_DESCRIPTION", description)
    assert fast_precision(torch.device("cpu")) == expected
    assert fast_precision(torch.device("cuda", 0)) == "auto"
