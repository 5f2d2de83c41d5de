"""The picture of a sweep over learning rates, with the suggestion marked; needs matplotlib (extra `plot`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scenetext.inspection.curve_picture import figure_type
from scenetext.training.learning_rate_range import LearningRateSweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE_INCHES = (7.0, 4.2)


def draw_sweep(sweep: LearningRateSweep, configured: float) -> Figure:
    """Loss over the learning rate: every step, smoothed, the suggestion and what the settings have.

    Args:
        configured: `optimizer.learning_rate` of the run.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    picture = figure_type()(figsize=SIZE_INCHES, layout="constrained")
    panel = picture.subplots()
    panel.plot(sweep.rates, sweep.losses, color="C0", alpha=0.3, linewidth=1, label="loss of a step")
    panel.plot(sweep.rates, sweep.smoothed, color="C0", linewidth=2, label="smoothed")
    panel.axvline(configured, color="0.5", linestyle=":", label=f"settings: {configured:.2g}")
    if sweep.suggestion is not None:
        at = int(np.searchsorted(sweep.rates, sweep.suggestion))
        panel.axvline(sweep.suggestion, color="C3", linestyle="--", label=f"suggestion: {sweep.suggestion:.2g}")
        panel.plot([sweep.suggestion], [sweep.smoothed[at]], "o", color="C3")
    # Where a loss leaves its range, the last points would flatten everything before them.
    low, high = (
        float(min(sweep.losses.min(), sweep.smoothed.min())),
        float(np.max(sweep.losses[: len(sweep.losses) // 2])),
    )
    panel.set_ylim(low - 0.1 * (high - low), high + 0.4 * (high - low) + 1e-12)
    panel.set_xscale("log")
    panel.set_xlabel("optimizer.learning_rate")
    panel.set_ylabel("loss")
    panel.set_title(sweep.ended and f"ended at {sweep.rates[-1]:.2g}: {sweep.ended}", fontsize="medium")
    panel.grid(alpha=0.3)
    panel.legend(frameon=False)
    return picture
