"""Is this machine ready? Versions, devices, kernels, optional extras, and one clear verdict."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["ok", "note", "problem"]

REQUIRED_TORCH = (2, 6)
EXTRAS = {
    "open_clip_torch": "CLIP's tokenizer and weights (TCM)",
    "timm": "any of its backbones as an encoder",
    "webdataset": "tar shards for collections too large for loose files",
    "onnxruntime": "export",
    "rapidocr": "an OCR engine for weak labels",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        status: ok; note (works, worth knowing); problem (training will fail).
        detail: what was seen and, for a problem, the command that fixes it.
    """

    name: str
    status: Status
    detail: str


def run_checks() -> list[Check]:
    """All checks, in the order in which a person would want to read them."""
    return [
        _check_python(),
        *_check_packages(),
        *_check_torch(),
        _check_operators(),
        _check_machine(),
        _check_shared_memory(),
        *_check_extras(),
    ]


def verdict(checks: list[Check]) -> str:
    """One sentence that sums up the checks."""
    problems = [check.name for check in checks if check.status == "problem"]
    if problems:
        return f"NOT READY: {len(problems)} problem(s): {', '.join(problems)}"
    notes = sum(check.status == "note" for check in checks)
    return "READY" + (f" ({notes} note(s) above)" if notes else "")


def _check_python() -> Check:
    supported = sys.version_info[:2] >= (3, 10)
    detail = f"{platform.python_version()} on {platform.platform()}"
    return Check(
        "python", "ok" if supported else "problem", detail if supported else f"{detail}; 3.10 or newer is needed"
    )


def _check_packages() -> list[Check]:
    """Whether every required package is installed, by the project's own metadata."""
    try:
        requirements = importlib.metadata.requires("scenetext") or []
    except importlib.metadata.PackageNotFoundError:
        return [Check("scenetext", "problem", "is not installed; run `pip install .` in the repository")]
    installed, missing = [], []
    for requirement in requirements:
        name = re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]
        if "extra ==" in requirement:
            continue
        try:
            installed.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return [Check("packages", "problem", f"missing: {', '.join(missing)}; run `pip install .` in the repository")]
    return [Check("packages", "ok", ", ".join(installed))]


def _check_torch() -> list[Check]:
    try:
        import torch
    except ImportError as error:
        return [Check("torch", "problem", f"cannot be imported: {error}")]
    version = tuple(int(part) for part in re.findall(r"\d+", str(torch.__version__))[:2])
    built_for = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    if version < REQUIRED_TORCH:
        return [Check("torch", "problem", f"{torch.__version__}; 2.6 or newer is needed")]
    return [Check("torch", "ok", f"{torch.__version__}, built for {built_for}"), *_check_gpus()]


def _check_gpus() -> list[Check]:
    import torch

    from scenetext.training.device import missing_kernels, resolve_precision

    if not torch.cuda.is_available():
        driver = shutil.which("nvidia-smi")
        if driver:
            detail = (
                "a driver is installed (nvidia-smi), but torch sees no GPU: the driver may be older than this torch "
                "build needs; install a build for an older CUDA, as in: "
                "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cu126"
            )
            return [Check("gpu", "problem", detail)]
        return [Check("gpu", "note", "none; everything runs on the CPU, real pre-training needs GPUs")]
    checks = []
    for index in range(torch.cuda.device_count()):
        device = torch.device("cuda", index)
        name = torch.cuda.get_device_name(device)
        problem = missing_kernels(device)
        memory = torch.cuda.get_device_properties(device).total_memory / 2**30
        detail = problem or f"{name}, {memory:.0f} GiB, precision auto = {resolve_precision('auto', device)}"
        checks.append(Check(f"gpu {index}", "problem" if problem else "ok", detail))
    return checks


def _check_operators() -> Check:
    """torchvision's compiled operators fail to load when torch and torchvision come from different builds."""
    try:
        import torch
        from torchvision.ops import nms

        nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    except (ImportError, RuntimeError, OSError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        detail = (
            f"do not work ({first_line}); torch and torchvision come from different builds: "
            "pip install --force-reinstall torch torchvision"
        )
        return Check("torchvision operators", "problem", detail)
    return Check("torchvision operators", "ok", "work")


def _check_machine() -> Check:
    disk = shutil.disk_usage(Path.cwd()).free / 2**30
    detail = f"{os.cpu_count()} cores, {disk:.0f} GiB free on this disk"
    return Check("machine", "ok" if disk > 2 else "note", detail)


def _check_shared_memory() -> Check:
    """Loader processes hand over batches through /dev/shm, which containers often keep at 64 MiB."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Check("shared memory", "ok", "no /dev/shm on this system")
    total = shutil.disk_usage(folder).total / 2**20
    if total < 512:
        return Check(
            "shared memory",
            "note",
            f"/dev/shm has {total:.0f} MiB; loader processes may die with a bus error: "
            "start the container with --shm-size=8g, or set loader.workers=0",
        )
    return Check("shared memory", "ok", f"/dev/shm has {total:.0f} MiB")


def _check_extras() -> list[Check]:
    checks = []
    for name, purpose in EXTRAS.items():
        try:
            checks.append(Check(f"extra {name}", "ok", importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            checks.append(Check(f"extra {name}", "ok", f"not installed; only for: {purpose}"))
    return checks
