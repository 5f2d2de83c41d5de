"""Weights of timm's models: timm's own, their authors', and those in the cache of its hub; names in scenetext's."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from scenetext.errors import CheckpointError
from scenetext.weights.files import WeightFile, read_weights
from scenetext.weights.report import count_groups, load_weights
from scenetext.weights.wrappers import strip_parents

ENCODER = "timm."
"""Prefix, within scenetext's encoder, of what is timm's; the rest of these names is as timm has it."""
PYRAMID = "pyramid."
"""Prefix of the levels that scenetext makes for a vision transformer; the stride of the level is the next part."""
_FILES = ("model.safetensors", "pytorch_model.bin")
"""What a repository on the hub may call its weights, in the order in which they are looked for."""
_TRANSLATIONS = ("checkpoint_filter_fn", "_filter_fn")
"""Functions in timm's modules that translate the names of a model's authors."""
_FIRST_NAMES = 5


def load_timm_weights(model: nn.Module, whole: nn.Module, name: str, file: WeightFile) -> list[str]:
    """Loads a file into a model of timm from which the classifier was removed.

    Args:
        model: takes the weights, under timm's names.
        whole: the same model with everything, on any device: its further names are skipped, others refused.
        name: of the model in timm.

    Returns:
        What was recognised, loaded and dropped, a line each.

    Raises:
        CheckpointError: the file is not of this model; the message lists what differs.
    """
    tensors, _ = strip_parents(file.tensors, lambda weights: _is_known(model, _translated(weights, whole)))
    tensors = _translated(tensors, whole)
    if not _is_known(model, tensors):
        first = ", ".join(list(file.tensors)[:_FIRST_NAMES])
        more = f" and {len(file.tensors) - _FIRST_NAMES} more" if len(file.tensors) > _FIRST_NAMES else ""
        raise CheckpointError(
            f"{file.path}: these weights are of no known source for timm's {name}, neither timm's own, nor its "
            f"authors', nor a scenetext checkpoint on it. Their names: {first}{more}. "
            "Choose a file of this model, or set encoder.model to that of the file"
        )
    own, known = model.state_dict(), whole.state_dict()
    unused = [key for key in tensors if key in known and key not in own]
    used = {key: value for key, value in tensors.items() if key not in unused}
    source = f"{file.path} (timm's {name})"
    report = load_weights(model, used, source)
    lines = [f"encoder weights: {source}; {report}", *file.remarks]
    return [*lines, f"dropped: {count_groups((*unused, *file.others))}"]


def timm_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Settings of `encoders.timm` that the weights of an encoder imply; `model` is not among them."""
    ends = [value for name, value in weights.items() if name.startswith(PYRAMID)]
    return {"name": "timm", "pyramid_channels": len(ends[-1])} if ends else {"name": "timm"}


def fit_pyramid(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...], list[str]]:
    """An encoder's weights for one that may need other levels of the pyramid: a pre-training has the last level alone.

    Args:
        own: the encoder's state, which the weights are for.

    Returns:
        The weights without the levels that it has not, the prefixes of its levels that are not among them, and remarks.
    """
    has, given = _pyramid_levels(own), _pyramid_levels(weights)
    new, unused = tuple(sorted(has - given)), tuple(sorted(given - has))
    kept = {name: value for name, value in weights.items() if not (unused and name.startswith(unused))}
    remarks = [f"levels of the pyramid that are not in the file, random instead: {len(new)}"] if new else []
    remarks += [f"levels of the pyramid that this encoder does not have, dropped: {len(unused)}"] if unused else []
    return kept, new, remarks


def _pyramid_levels(names: Iterable[str]) -> set[str]:
    """Prefixes of the levels of a pyramid."""
    return {f"{PYRAMID}{name.split('.')[1]}." for name in names if name.startswith(PYRAMID)}


def _is_known(model: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Whether named tensors are of a model: they have at least half of its names."""
    own = model.state_dict()
    return 2 * len(own.keys() & weights.keys()) >= len(own)


def _translated(tensors: Mapping[str, Tensor], whole: nn.Module) -> dict[str, Tensor]:
    """A file's tensors as timm renames and resizes them for a model; as they are, where timm cannot."""
    module = sys.modules[type(whole).__module__]
    translate = next((getattr(module, name) for name in _TRANSLATIONS if hasattr(module, name)), None)
    if translate is None:
        return dict(tensors)
    try:
        return dict(translate(dict(tensors), whole))
    except (AttributeError, KeyError, IndexError, RuntimeError, TypeError, ValueError):
        return dict(tensors)  # of another model; said with its names by the caller


def published_weights(name: str, published: Mapping[str, Any]) -> WeightFile:
    """The weights that timm publishes of a model, from the cache of Hugging Face's hub, downloaded once.

    Args:
        name: of the model in timm.
        published: timm's record of its weights (`pretrained_cfg`).

    Raises:
        CheckpointError: there are none, or they are not in the cache and cannot be downloaded.
    """
    repository = published.get("hf_hub_id")
    if not repository:
        raise CheckpointError(
            f"encoder.weights=pretrained: timm publishes no weights of {name} on the hub; name a file, or null for "
            "random weights"
        )
    files = (published["hf_hub_filename"],) if published.get("hf_hub_filename") else _FILES
    try:
        return read_weights(_from_hub(repository, files))
    except OSError as error:
        raise CheckpointError(
            f"encoder.weights=pretrained: the weights of timm's {name} are not in the cache and cannot be downloaded "
            f"({error}). Without a network, fetch {files[0]} of {repository} from Hugging Face elsewhere and name it "
            f"where it lies: encoder.weights=FOLDER/{files[0]}"
        ) from None


def _from_hub(repository: str, files: Sequence[str]) -> Path:
    """The first of these files that the cache or, after that, the repository has; an OSError where neither has one."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for file in files:
        with suppress(LocalEntryNotFoundError):
            return Path(hf_hub_download(repository, file, local_files_only=True))
    for file in files:
        try:
            return Path(hf_hub_download(repository, file))
        except LocalEntryNotFoundError:
            raise  # no network: no other name will help
        except EntryNotFoundError:
            continue
    raise FileNotFoundError(f"{repository} has none of {', '.join(files)}")
