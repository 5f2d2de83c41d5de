from __future__ import annotations

import pytest
import torch

from scenetext.errors import DeviceError
from scenetext.training import device as device_module
from scenetext.training.device import architecture_is_covered, resolve_device, resolve_precision


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
