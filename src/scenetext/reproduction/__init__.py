"""Tables of the papers as data: what is to be run for them, running it, and the paper's figures beside ours."""

from typing import Literal

Size = Literal["full", "small"]
"""full: as published. small: tiny models on generated scenes, which shows that the road works and nothing more."""
Paper = Literal["oclip", "tcm"]
FigureName = Literal[
    "precision", "recall", "hmean", "parameters", "trainable_parameters", "operations", "images_per_second"
]
