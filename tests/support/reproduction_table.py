"""A small table of runs for tests of `scenetext reproduce`, and a launcher that stands for its subprocesses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scenetext.reproduction.plan import Step
from scenetext.reproduction.running import OUTPUT_NAME

CONFIG = {
    "kind": "detection",
    "encoder": {"name": "clip_resnet", "layers": [1, 1, 1, 1], "width": 8},
    "detector": {"name": "dbnet", "inner_channels": 16, "level_channels": 8},
    "data": {"train": ["train.jsonl"], "validation": ["test.jsonl"]},
    "training": {"steps": 2, "evaluate_every": 2},
}


def small_table(**changes: Any) -> dict[str, Any]:
    """A table of a first training that two of three offered rows share, and of a row that is only quoted."""
    experiment = {
        "measured_on": "nothing much.",
        "trainings": {"words": {}},
        "tests": {
            "hard": {
                **{"records": ["hard.jsonl"], "overrides": ["evaluation_transform.long_side=64"]},
                "protocol": "totaltext_iou",
            }
        },
        "columns": [
            {"title": "F", "training": "words", "figure": "hmean"},
            {"title": "hard F", "training": "words", "test": "hard", "figure": "hmean"},
            {"title": "M", "training": "words", "figure": "parameters"},
        ],
    }
    stages = {name: {"small": {"run": "{dataset}.yaml"}} for name in ("first", "detector")}
    stages["first"]["small"]["overrides"] = ["training.seed=5"]
    rows = [
        {"name": "quoted", "labels": ["Other"], "published": [12, None]},
        {"name": "plain", "labels": ["Ours"], "published": [80.25, 7], "stages": [{"stage": "detector"}]},
        {"name": "slow", "labels": ["Ours+"], "stages": [{"stage": "first"}, {"stage": "detector"}]},
        {
            "name": "shared",
            "labels": ["Ours++"],
            "stages": [{"stage": "first"}, {"stage": "detector", "overrides": ["loader.batch_size=2"]}],
        },
    ]
    content = {
        **{"paper": "tcm", "name": "table_99", "title": "of a test", "source": "nowhere", "labels": ["Method"]},
        **{"published_columns": ["F", "FPS"], "stages": stages, "rows": rows, "full": experiment, "small": experiment},
    }
    return {**content, **changes}


def evaluation_of(best: dict[str, float] | None) -> dict[str, Any]:
    """As `scenetext evaluate` writes it."""
    return {"datasets": {"records": {"protocols": {"ic15": {"best_on_this_set": best}}}}}


class Launcher:
    """Stands for subprocesses: writes what each step would leave, and remembers the commands."""

    def __init__(self, codes: Mapping[str, int] | None = None) -> None:
        self.codes = codes or {}
        self.commands: list[list[str]] = []

    def __call__(self, step: Step, command: list[str]) -> int:
        self.commands.append(command)
        step.folder.mkdir(parents=True, exist_ok=True)
        (step.folder / OUTPUT_NAME).write_text("error: what went wrong\n")
        code = next((code for part, code in self.codes.items() if part in " ".join(command)), 0)
        if code == 0:
            hmean = 0.5 if "hard" in " ".join(command) else 0.75
            metrics = {"words": [{"name": "parameters", "value": 1.5}]}
            evaluation = evaluation_of({"hmean": hmean})
            step.result.write_text(json.dumps(metrics if step.kind == "count" else evaluation))
        return code
