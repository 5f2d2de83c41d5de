from __future__ import annotations

import importlib.metadata

import pytest
import torch

from scenetext.inspection.machine import Check, run_checks, verdict


def named(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_sound_machine_is_ready() -> None:
    checks = run_checks()
    assert named(checks, "torch").status == "ok"
    assert named(checks, "torchvision operators").status == "ok"
    assert not [check for check in checks if check.status == "problem"]
    assert verdict(checks).startswith("READY")


def test_missing_package_is_a_problem_with_the_line_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "shapely":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    checks = run_checks()
    assert named(checks, "packages").status == "problem"
    assert "shapely" in named(checks, "packages").detail
    assert "pip install" in named(checks, "packages").detail
    assert verdict(checks).startswith("NOT READY")


def test_gpu_without_kernels_is_a_problem_with_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        total_memory = 16 * 2**30

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device=None: Properties())
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_90"])
    check = named(run_checks(), "gpu 0")
    assert check.status == "problem"
    assert "sm_70" in check.detail
    assert "cu126" in check.detail
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_70", "sm_80"])
    check = named(run_checks(), "gpu 0")
    assert check.status == "ok"
    assert "precision auto = fp16" in check.detail, "a V100 has no bf16"
