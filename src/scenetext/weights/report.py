"""Loading weights into a module with a full report of what fitted and what did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from scenetext.errors import CheckpointError


@dataclass(frozen=True)
class LoadReport:
    """How the weights of a file fit a module.

    Attributes:
        matched: keys that were loaded.
        missing: keys of the module that the file does not have.
        unexpected: keys of the file that the module does not have.
        mismatched: keys of both with different shapes, "key: file (..), model (..)".
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every tensor of the module was loaded and nothing was left over."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        lines = [f"{len(self.matched)} tensors fit"]
        for title, keys in (
            ("missing from the file", self.missing),
            ("unknown to the model", self.unexpected),
            ("of another shape", self.mismatched),
        ):
            if keys:
                more = f" and {len(keys) - 10} more" if len(keys) > 10 else ""
                lines.append(f"{len(keys)} {title}: {', '.join(keys[:10])}{more}")
        return "\n  ".join(lines)


def compare_weights(module: nn.Module | Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> LoadReport:
    """How the tensors of a file fit a module (or named tensors that stand for one), by name and shape.

    Batch-norm counters (`num_batches_tracked`) may be missing from the file: they do not matter to the result.
    """
    own = module.state_dict() if isinstance(module, nn.Module) else module
    shared = [name for name in own if name in weights]
    fitting = [name for name in shared if own[name].shape == weights[name].shape]
    return LoadReport(
        matched=tuple(fitting),
        missing=tuple(name for name in own if name not in weights and not name.endswith("num_batches_tracked")),
        unexpected=tuple(name for name in weights if name not in own),
        mismatched=tuple(
            f"{name}: file {tuple(weights[name].shape)}, model {tuple(own[name].shape)}"
            for name in shared
            if own[name].shape != weights[name].shape
        ),
    )


def require_fit(
    module: nn.Module | Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    source: Path | str,
    optional: tuple[str, ...] = (),
) -> LoadReport:
    """Makes sure that weights fit a module completely; nothing is loaded, so the module may be on the meta device.

    Args:
        source: named in errors.
        optional: key prefixes of the module that the file need not have.

    Raises:
        CheckpointError: anything is missing, left over or of another shape; the message lists it.
    """
    report = compare_weights(module, weights)
    required = tuple(name for name in report.missing if not (optional and name.startswith(optional)))
    report = replace(report, missing=required)
    if not report.is_complete:
        raise CheckpointError(f"{source} does not fit the model:\n  {report}")
    return report


def load_weights(
    module: nn.Module, weights: Mapping[str, Tensor], source: Path | str, optional: tuple[str, ...] = ()
) -> LoadReport:
    """Loads weights that fit a module completely; tensors take the module's own number type.

    Arguments and errors are those of `require_fit`; what is optional and not in the file keeps its values.
    """
    report = require_fit(module, weights, source, optional)
    module.load_state_dict(dict(weights), strict=False)
    return report


def count_groups(names: Iterable[str]) -> str:
    """Names counted by the part of a model they belong to: "visual.attnpool (9), transformer (144)"."""
    counts = Counter(_group(name) for name in names)
    return ", ".join(f"{group} ({count})" for group, count in counts.items()) or "nothing"


def _group(name: str) -> str:
    parts = name.removeprefix("network.").split(".")
    return ".".join(parts[:2]) if parts[0] == "visual" else parts[0]
