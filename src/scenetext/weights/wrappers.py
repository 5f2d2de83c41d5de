"""What lies around the weights in files of other programs: mappings that hold them, prefixes that all names share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from scenetext.errors import CheckpointError

_PREFERRED = ("model", "state_dict", "model_state_dict", "weights", "net", "network", "params", "module")
"""Keys under which programs keep the weights of the model; anything else that holds tensors counts if it is alone."""
_OTHER_STATES = ("optim", "sched", "scaler", "average", "ema", "swa", "teacher", "momentum", "rng", "random")
"""Parts of keys of what a program keeps beside the weights."""
_DEPTH = 4
_ADDED_BY_TORCH = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of names that compilation, FSDP and activation checkpointing add, in some names or in all."""
_DISTRIBUTED = "module"
"""What DistributedDataParallel and DataParallel add; a part of all names, since other modules may be called so too."""


def find_weights(content: Mapping[Any, Any]) -> tuple[dict[str, Tensor], tuple[str, ...], tuple[str, ...]]:
    """Looks for the named tensors of a model in what a file holds, however deep they lie.

    Returns:
        The tensors, the keys under which they lie, and everything else: names of what lies beside them.

    Raises:
        CheckpointError: there are none, or several mappings hold some and no key says which is the model.
    """
    keys: tuple[str, ...] = ()
    others: list[str] = []
    while (key := _key_of_weights(content)) is not None:
        others += [str(name) for name in content if name != key]
        keys, content = (*keys, key), content[key]
    tensors = {name: value.detach() for name, value in _named_tensors(content)}
    if not tensors:
        raise CheckpointError("holds no named tensors")
    others += [str(name) for name in content if name not in tensors]
    return tensors, keys, tuple(others)


def _key_of_weights(content: Mapping[Any, Any]) -> str | None:
    """The key of the mapping in which to look on; None: the tensors lie here."""
    found = [key for key, value in content.items() if isinstance(key, str) and _holds_tensors(value, _DEPTH)]
    preferred = [key for key in _PREFERRED if key in found]
    if preferred:
        return preferred[0]
    if not found or any(_named_tensors(content)):
        return None
    models = [key for key in found if not any(part in key.lower() for part in _OTHER_STATES)]
    if len(models) > 1:
        raise CheckpointError(f"holds several sets of weights, under {', '.join(models)}; save the model's alone")
    return (models or found)[0]


def _holds_tensors(value: Any, depth: int) -> bool:
    if not isinstance(value, Mapping):
        return False
    return any(_named_tensors(value)) or (depth > 1 and any(_holds_tensors(each, depth - 1) for each in value.values()))


def _named_tensors(content: Mapping[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    return (pair for pair in content.items() if isinstance(pair[0], str) and isinstance(pair[1], Tensor))


def strip_added_parts(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Takes out of names what torch's wrappers of modules add.

    Returns:
        The tensors under the names of the module itself, and the parts that were removed.
    """
    parts = [name.split(".") for name in tensors]
    added = [part for part in _ADDED_BY_TORCH if any(part in each for each in parts)]
    if all(_DISTRIBUTED in each for each in parts):
        added.insert(0, _DISTRIBUTED)
    names = [".".join(part for part in each if part not in added) for each in parts]
    if len(set(names)) < len(names) or "" in names:
        return dict(tensors), ()
    return dict(zip(names, tensors.values(), strict=True)), tuple(added)


def strip_parents(
    tensors: Mapping[str, Tensor], is_known: Callable[[Mapping[str, Tensor]], bool]
) -> tuple[dict[str, Tensor], str]:
    """Takes the names of parent modules off, which all names begin with, until the rest is known.

    Returns:
        The tensors and the prefix that was removed; as they were, where nothing makes them known.
    """
    prefix, rest = "", dict(tensors)
    while not is_known(rest):
        firsts = {name.partition(".")[0] for name in rest}
        if len(firsts) != 1 or not all("." in name for name in rest):
            return dict(tensors), ""
        (first,) = firsts
        prefix, rest = f"{prefix}{first}.", {name.partition(".")[2]: value for name, value in rest.items()}
    return rest, prefix
