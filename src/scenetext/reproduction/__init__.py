"""Tables of the papers as data: the runs that they need, running them, and published beside measured values."""

from typing import Literal

Size = Literal["full", "small"]
"""full: as published. small: tiny models on generated scenes, which shows that the pipeline works and nothing more."""
Paper = Literal["oclip", "tcm", "fasttcm", "mmocr"]
"""mmocr: the model zoo of MMOCR 1.x, whose recipes most detectors here have. Its tables are numbered here, and
so are those of FastTCM, whose paper was not at hand."""
MetricName = Literal[
    "precision", "recall", "hmean", "1-ned", "parameters", "trainable_parameters", "operations", "images_per_second"
]
