"""Batch norms folded into the convolutions before them, for inference: fewer passes over the same maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode


@torch.no_grad()
def fold_batch_norms(module: nn.Module, run: Callable[[], object]) -> int:
    """Folds every batch norm that normalises by its running statistics into the convolution whose result it gets.

    Convolutions get other weights and a bias, in place; norms are replaced by what they do besides (nothing, or the
    activation of timm's). Which belong together is seen in a forward pass, so no model has to be written in a certain
    way: a pair is folded where the norm alone reads the convolution's result, and neither has another partner.

    Args:
        module: in evaluation mode; not to be trained or saved any more.
        run: a forward pass of it, on any input. What it does not reach stays as it is.

    Returns:
        How many norms were folded.
    """
    observed = _Observed()
    hooks = [part.register_forward_hook(observed.note_result) for part in module.modules()]
    hooks += [part.register_forward_pre_hook(observed.note_input) for part in module.modules()]
    try:
        with observed:
            run()
    finally:
        for hook in hooks:
            hook.remove()
    pairs = list(observed.pairs())
    for convolution, norm in pairs:
        _fold(convolution, norm)
    replaced = {norm: _rest_of(norm) for _, norm in pairs}
    for parent in module.modules():
        for name, child in list(parent.named_children()):
            if child in replaced:
                setattr(parent, name, replaced[child])
    return len(pairs)


class _Observed(TorchFunctionMode):
    """Which norms got the results of which convolutions, and how often each result was read."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[Tensor] = []
        """All results, so that no other tensor gets the identity of one."""
        self._made: dict[_ConvNd, set[int]] = {}
        self._taken: dict[_BatchNorm, set[int | None]] = {}
        self._reads: Counter[int] = Counter()

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Counts the results that a function reads to make tensors of them; what asks for a size reads nothing."""
        result = function(*args, **(kwargs or {}))
        if any(True for _ in _tensors(result)):
            read = {id(each) for each in _tensors((*args, *(kwargs or {}).values()))}
            self._reads.update(read & self._reads.keys())
        return result

    def note_result(self, module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        """A forward hook."""
        if isinstance(module, _ConvNd):
            self._held.append(result)
            self._made.setdefault(module, set()).add(id(result))
            self._reads[id(result)] = 0

    def note_input(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """A hook before the forward pass."""
        if isinstance(module, _BatchNorm):
            identity = id(inputs[0])
            self._taken.setdefault(module, set()).add(identity if identity in self._reads else None)

    def pairs(self) -> Iterator[tuple[_ConvNd, _BatchNorm]]:
        """The convolutions and norms that are one affine map whatever the input."""
        for norm, taken in self._taken.items():
            for convolution, made in self._made.items():
                alone = made == taken and all(self._reads[each] == 1 for each in made)
                if alone and _is_foldable(norm) and _takes_factors(convolution):
                    yield convolution, norm


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested sequences."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)


def _is_foldable(norm: _BatchNorm) -> bool:
    """Whether all that it does is a factor and a shift of every channel, and what `_rest_of` knows."""
    plain = type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    return (plain or _activation_parts(norm) is not None) and not norm.training and norm.running_mean is not None


def _takes_factors(convolution: _ConvNd) -> bool:
    """Whether factors of its result can be factors of its weights: not where it does more than torch's own, nor where
    groups of a transposed one share their axis."""
    if type(convolution) in (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d):
        return convolution.groups == 1
    return type(convolution) in (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def _activation_parts(norm: _BatchNorm) -> tuple[nn.Module, nn.Module] | None:
    """What timm's norms (BatchNormAct2d) do after they have normalised."""
    if type(norm).__name__ != "BatchNormAct2d":
        return None
    return norm.drop, norm.act  # type: ignore[return-value]


def _rest_of(norm: _BatchNorm) -> nn.Module:
    """What is left of a folded norm."""
    parts = _activation_parts(norm)
    return nn.Identity() if parts is None else nn.Sequential(*parts)


def _fold(convolution: _ConvNd, norm: _BatchNorm) -> None:
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,  # type: ignore[arg-type]
        norm.running_var,  # type: ignore[arg-type]
        norm.eps,
        norm.weight,
        norm.bias,
        transpose=isinstance(convolution, _ConvTransposeNd),
    )
    convolution.weight, convolution.bias = (nn.Parameter(each, requires_grad=False) for each in (weight, bias))
