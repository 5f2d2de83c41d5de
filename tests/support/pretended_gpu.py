"""A GPU that is not there: its tensors compute on the CPU, say that they lie on cuda:0, and refuse what CUDA refuses.

Within `pretended_gpu`, whatever is moved or made with `device="cuda"` is marked. A marked tensor names its device as a
GPU would, an operation on marked and unmarked tensors together fails, and so does `.numpy()` without `.cpu()`. The
numbers are those of the CPU, so code that depends on data runs as it is, with its gradients.

It is stricter than CUDA in one thing: scalars and indices on the CPU are refused as well. What it cannot see: kernels
that are missing or compute something else, memory, streams, and what C++ does with devices inside of one operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda", 0)
_MARK = "_lies_on_the_pretended_gpu"
_ACROSS_DEVICES = (torch.Tensor.copy_, torch._has_compatible_shallow_copy_type, torch.Tensor.data.__set__)
_TO_HOST_MEMORY = (torch.Tensor.numpy, torch.Tensor.__array__)


def is_resident(value: Any) -> bool:
    """Whether a tensor lies on the pretended GPU."""
    return getattr(value, _MARK, False)


@contextmanager
def pretended_gpu() -> Iterator[torch.device]:
    """Within, the device that it gives can be used, as far as the module says."""
    group = torch._C._group_tensors_by_device_and_dtype

    def grouped(tensorlists: Any, *options: Any) -> Any:
        """What clipping and optimisers ask for: the keys name devices, which C++ knows nothing of."""
        made = group(tensorlists, *options)
        return {(GPU if is_resident(lists[0][0]) else key[0], key[1]): (lists, at) for key, (lists, at) in made.items()}

    with mock.patch.object(torch._C, "_group_tensors_by_device_and_dtype", grouped), _Marking():
        yield GPU


class _Marking(TorchFunctionMode):
    def __torch_function__(
        self, function: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = dict(kwargs or {})
        if function == torch.Tensor.device.__get__:
            return GPU if is_resident(args[0]) else function(*args)
        if function == torch.Tensor.is_cuda.__get__:
            return is_resident(args[0])
        if function is torch.Tensor.cpu:
            return _marked(args[0].clone(), False)
        if function is torch.Tensor.to:
            return _moved(args[0], args[1:], given)
        tensors = [leaf for leaf in tree_leaves((args, given)) if isinstance(leaf, Tensor)]
        resident = any(map(is_resident, tensors))
        if function in _TO_HOST_MEMORY and resident:
            raise TypeError(f"can't convert {GPU} device type tensor to numpy. Use Tensor.cpu() to copy it first.")
        if function not in _ACROSS_DEVICES and resident and not all(map(is_resident, tensors)):
            others = [tuple(tensor.shape) for tensor in tensors if not is_resident(tensor)]
            raise RuntimeError(f"Expected all tensors to be on the same device: {function} of {others} on the CPU")
        if function == torch.Tensor.data.__set__:
            _marked(args[0], is_resident(args[1]))
        elif (device := given.get("device")) is not None:
            resident = torch.device(device).type == GPU.type
            given["device"] = "cpu"
        result = function(*args, **given)
        if function is torch.Tensor.__iter__:
            result = list(result)
        for leaf in tree_leaves(result) if resident else ():
            _marked(leaf, True)
        return iter(result) if function is torch.Tensor.__iter__ else result


def _moved(tensor: Tensor, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """`Tensor.to` in all of its forms."""
    like = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
    if like is not None:
        device, dtype, memory_format = GPU if is_resident(like) else torch.device("cpu"), like.dtype, None
    else:
        others = {name: value for name, value in kwargs.items() if name != "copy"}
        device, dtype, _, memory_format = torch._C._nn._parse_to(*args, **others)
    resident = is_resident(tensor) if device is None else device.type == GPU.type
    moves = resident != is_resident(tensor) or kwargs.get("copy", False)
    result = tensor.to(dtype=dtype or tensor.dtype, copy=moves, memory_format=memory_format or torch.preserve_format)
    return result if result is tensor else _marked(result, resident)


def _marked(value: Any, resident: bool) -> Any:
    if isinstance(value, Tensor):
        setattr(value, _MARK, resident)
    return value
