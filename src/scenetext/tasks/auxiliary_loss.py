"""The auxiliary loss: what an encoder adds to a detector's loss, from the detector's own maps of where text is."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from scenetext.contracts import AuxiliaryLoss, DetectorSpec, Targets
from scenetext.errors import ConfigError


def auxiliary_losses(
    loss: AuxiliaryLoss | None, side: Mapping[str, Tensor], spec: DetectorSpec, targets: Targets, name: str
) -> dict[str, Tensor]:
    """The encoder's unweighted loss terms; nothing for an encoder without a loss.

    Args:
        side: what the encoder left in `Features.side`.
        targets: of a batch, as the detector made them.
        name: of the detector, for messages.

    Raises:
        ConfigError: the detector does not say where text is.
    """
    if loss is None:
        return {}
    try:
        region, valid = spec.text_region(targets)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{_demand(name)} It fails with {error!r}; the targets are: {_shapes(targets)}") from error
    images = len(side["score_map"]) if "score_map" in side else len(region)
    if region.shape != valid.shape or region.ndim != 3 or len(region) != images:
        raise ConfigError(f"{_demand(name)} It gives {tuple(region.shape)} and {tuple(valid.shape)}")
    return loss(side, region, valid)


def merged_loss_weights(detector: Mapping[str, float], encoder: AuxiliaryLoss | None) -> dict[str, float]:
    """The weight of every loss term of a detector and its encoder.

    Raises:
        ConfigError: they call two terms alike.
    """
    added = {} if encoder is None else dict(encoder.loss_weights)
    alike = detector.keys() & added.keys()
    if alike:
        raise ConfigError(f"the detector and its encoder both have a loss called {', '.join(sorted(alike))}; rename it")
    return {**detector, **added}


def _demand(name: str) -> str:
    return (
        f"the encoder of this run learns where text is, from the targets of detector {name!r}: `text_region` in the "
        "DetectorSpec of its __init__.py must turn the targets of a batch into two maps of 0 and 1, where text is and "
        "where that is known, (B, H, W) each, at the image's size or that over a whole number."
    )


def _shapes(targets: Targets) -> str:
    return ", ".join(f"{name} {tuple(value.shape)}" for name, value in targets.items()) or "none"
