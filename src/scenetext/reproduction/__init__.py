"""Tables of the papers, and of own experiments, as data: the runs that they need, running them, and the report."""

from typing import Literal

Size = Literal["full", "small"]
"""full: as published. small: tiny models, for the papers' tables on generated scenes, which shows that the pipeline
works and nothing more; for own experiments on real images."""
Paper = Literal["oclip", "tcm", "fasttcm", "mmocr", "scenetext"]
"""mmocr: the model zoo of MMOCR 1.x, whose recipes most detectors here have. Its tables are numbered here, and
so are those of FastTCM, whose paper was not at hand. scenetext: this library's own experiments, of which nothing is
published."""
MetricName = Literal[
    "precision", "recall", "hmean", "1-ned", "parameters", "trainable_parameters", "operations", "images_per_second"
]
