"""Which device and which precision a run uses, and a clear error where they are not available."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal

import torch

from scenetext.data.loading.limits import exhausted
from scenetext.distributed import is_launched, local_rank
from scenetext.errors import ConfigError, DeviceError, LoaderError

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_OUT_OF_MEMORY_MESSAGES = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
"""In messages of torch, cuDNN and cuBLAS, and of torch on a CPU; not all of them are `OutOfMemoryError`s."""
_CPU_DESCRIPTION = Path("/proc/cpuinfo")
_BF16_INSTRUCTIONS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""As Linux calls them, the last on ARM. Without any, bf16 is emulated and slower than float32."""
_NO_DETERMINISM_MESSAGE = "torch.use_deterministic_algorithms"
_DETERMINISTIC_WORKSPACES = (":4096:8", ":16:8")
"""Values of CUBLAS_WORKSPACE_CONFIG with which cuBLAS gives the same bits every time."""


def resolve_device(name: str) -> torch.device:
    """A device from its name; "auto" takes the first GPU that this build of torch has kernels for, else the CPU.

    Raises:
        DeviceError: an unknown name, or a GPU that is not there or that this build of torch has no kernels for.
    """
    if name == "auto":
        usable = torch.cuda.is_available() and missing_kernels(torch.device("cuda", 0)) is None
        return torch.device("cuda", 0) if usable else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda":
        _check_cuda(device)
        return torch.device("cuda", device.index or 0)
    if device.type != "cpu":
        raise DeviceError(f"device {name!r} is not supported; use auto, cpu, cuda or cuda:N")
    return device


def process_device(name: str) -> torch.device:
    """As `resolve_device`, for one of several processes on this machine: each gets its own GPU, or the CPU.

    Raises:
        DeviceError: as `resolve_device`; or one GPU was named for several processes.
    """
    device = resolve_device(name)
    if device.type != "cuda" or not is_launched():
        return device
    if name.startswith("cuda:"):
        raise DeviceError(f"device {name!r} is one GPU; under torchrun use auto or cuda: each process gets its own")
    return resolve_device(f"cuda:{local_rank()}")


def overlooked_gpu(device: torch.device) -> str | None:
    """Why a run that was free to choose is on the CPU of a machine with a GPU; None = it is not."""
    if device.type == "cuda" or not torch.cuda.is_available():
        return None
    return missing_kernels(torch.device("cuda", 0))


def use_deterministic_algorithms() -> None:
    """From now on this process computes with algorithms that give the same bits every time, or refuses.

    cuBLAS reads its variable when it is first used, so this has to come before the first product on a GPU.

    Raises:
        ConfigError: the environment asks cuBLAS for a workspace with which it is not deterministic.
    """
    workspace = os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", _DETERMINISTIC_WORKSPACES[0])
    if workspace not in _DETERMINISTIC_WORKSPACES:
        raise ConfigError(
            f"training.deterministic: cuBLAS is not deterministic with CUBLAS_WORKSPACE_CONFIG={workspace} in the "
            f"environment; unset it, or set it to {' or '.join(_DETERMINISTIC_WORKSPACES)}"
        )
    torch.backends.cudnn.benchmark = False  # it may choose other algorithms from one start to the next
    torch.use_deterministic_algorithms(True)


@contextmanager
def explained_device_errors(device: torch.device, advice: str) -> Iterator[None]:
    """Turns errors about memory, other limits of the machine and determinism within into ones that say what to change.

    Args:
        advice: what to lower where memory runs out, as in "lower loader.batch_size".

    Raises:
        DeviceError: memory ran out.
        LoaderError: as a `BatchLoader` has it.
        ConfigError: `training.deterministic` asks for what an operation does not offer.
    """
    try:
        yield
    except (RuntimeError, OSError, MemoryError) as error:
        problem = ". ".join(str(error).split(". ")[:3]).strip()
        if is_out_of_memory(error):
            said = f". torch says: {problem}" if problem else ""
            raise DeviceError(f"memory of {device} ran out: {advice}{said}") from error
        if (limit := exhausted(error)) is not None:
            raise LoaderError(limit) from error
        if _NO_DETERMINISM_MESSAGE in str(error):
            raise ConfigError(
                f"training.deterministic: set it to false, or do without what torch names: {problem}"
            ) from error
        raise


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether the device's memory was too small, also where `explained_device_errors` has replaced the error."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return error is not None and is_out_of_memory(error.__cause__)
    return isinstance(error, torch.OutOfMemoryError) or any(part in str(error) for part in _OUT_OF_MEMORY_MESSAGES)


def peak_memory(device: torch.device) -> int:
    """Most bytes held so far: on a GPU by tensors there, else the largest resident set of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return largest_resident_set(resource.RUSAGE_SELF)


def largest_resident_set(who: int) -> int:
    """Most bytes this process (`resource.RUSAGE_SELF`), or the largest of its children (`RUSAGE_CHILDREN`), held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        raise DeviceError(
            f"device {str(device)!r} was asked for, but torch {torch.__version__} sees no GPU here; "
            "use --device cpu, or run `scenetext doctor` to see why"
        )
    if (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device {str(device)!r} was asked for, but there are {torch.cuda.device_count()} GPUs here")
    problem = missing_kernels(device)
    if problem:
        raise DeviceError(problem)


def missing_kernels(device: torch.device) -> str | None:
    """Why this build of torch cannot run on a GPU that is there, with the command that fixes it; None = it can.

    A wheel carries machine code for some architectures (sm_90) and may carry intermediate code (compute_90) that newer
    ones can compile. Recent default wheels have none for a V100 (sm_70); the cu126 wheels still do.
    """
    major, minor = torch.cuda.get_device_capability(device)
    built = torch.cuda.get_arch_list()
    if architecture_is_covered((major, minor), built):
        return None
    return (
        f"torch {torch.__version__} has no kernels for {torch.cuda.get_device_name(device)} (sm_{major}{minor}); it "
        f"was built for {', '.join(built)}. Install a build that has them: "
        "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cu126"
    )


def architecture_is_covered(capability: tuple[int, int], built: list[str]) -> bool:
    """Whether a GPU of this compute capability runs code built for these architectures ("sm_86", "compute_90").

    Machine code runs on devices of the same major and the same or a higher minor version, intermediate code on all
    newer ones.
    """
    for name in built:
        kind, _, digits = name.partition("_")
        digits = digits.rstrip("af")
        if not digits.isdigit():
            continue
        version = (int(digits[:-1]), int(digits[-1]))
        same_family = kind == "sm" and version[0] == capability[0] and version[1] <= capability[1]
        if same_family or (kind == "compute" and version <= capability):
            return True
    return False


def resolve_precision(precision: Precision, device: torch.device) -> Literal["fp32", "bf16", "fp16"]:
    """The precision that a run uses; "auto" is float32 on a CPU, bf16 on GPUs whose hardware has it, else fp16.

    Raises:
        DeviceError: bf16 on a GPU without it (torch would emulate it, slowly), or fp16 on a CPU.
    """
    if device.type == "cpu":
        if precision == "fp16":
            raise DeviceError("precision fp16 needs a GPU; on a CPU use fp32 or bf16")
        return "fp32" if precision == "auto" else precision
    has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
    if precision == "bf16" and not has_bf16:
        raise DeviceError(
            f"precision bf16 is only emulated on {torch.cuda.get_device_name(device)}; use fp16 (or auto, which does)"
        )
    if precision == "auto":
        return "bf16" if has_bf16 else "fp16"
    return precision


def fast_precision(device: torch.device) -> Precision:
    """The quickest precision in which small networks train well: bf16 also on CPUs that have instructions for it."""
    if device.type != "cpu" or not _CPU_DESCRIPTION.is_file():
        return "auto"
    words = set(_CPU_DESCRIPTION.read_text(encoding="utf-8", errors="replace").split())
    return "bf16" if words & _BF16_INSTRUCTIONS else "auto"


def autocast_to(precision: Literal["fp32", "bf16", "fp16"], device: torch.device) -> AbstractContextManager[None]:
    """Within, forward passes on a device compute in this precision."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype=kind, enabled=precision != "fp32")
