"""Evaluates a detector: precision, recall and hmean, swept over score thresholds.

Prints a table and writes it as JSON, with drawn pictures of the images where it does worst (hit, miss, false and
ignored in distinct colours).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from scenetext.build import load_trained_task, read_all_records
from scenetext.command_line import command_parser, run_command
from scenetext.data.dataset import RecordDataset
from scenetext.data.images import read_image, write_image
from scenetext.data.loader import LoaderSettings
from scenetext.drawing.detections import draw_comparison
from scenetext.drawing.sheets import sheet
from scenetext.errors import ImageError
from scenetext.evaluation.report import format_sweep, sweep_report
from scenetext.structures import ImageRecord
from scenetext.tasks.detection import DetectionMetric, DetectionTask
from scenetext.training.device import resolve_device
from scenetext.training.evaluation import evaluate

EXAMPLES = """\
  python tools/test.py outputs/dbnet_tiny/best.pt
  python tools/test.py outputs/dbnet_tiny/best.pt --records data/icdar2015/val.jsonl --output outputs/icdar2015_val
"""


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(__doc__ or "", EXAMPLES)
    parser.add_argument("checkpoint", type=Path, help="a detector's best.pt, written by tools/train.py")
    parser.add_argument("--records", type=Path, nargs="+", help="record files; default: the run's validation records")
    parser.add_argument("--output", type=Path, help="folder for results; default: evaluation/ beside the checkpoint")
    parser.add_argument("--pictures", type=int, default=12, help="how many of the worst images to draw")
    parser.add_argument("--workers", type=int, help="loader processes; default: one less than the cores")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    return parser.parse_args()


def draw_worst(metric: DetectionMetric, records: list[ImageRecord], count: int, output: Path) -> Path | None:
    """Draws the images with the most misses and false detections at the best threshold, one by one and as a sheet."""
    threshold = metric.evaluator.scores().best.threshold
    instances = {record.path: record.instances for record in records}
    drawn, titles = [], []
    for path, score in metric.evaluator.worst(threshold, count):
        outcome = metric.evaluator.images[path].outcome(threshold)
        try:
            pixels = read_image(path)
        except ImageError:
            continue  # told as skipped already
        picture = draw_comparison(
            pixels,
            metric.detections[path],
            instances[path],
            hits=outcome.hits,
            false=outcome.false,
            left_out=outcome.left_out,
            missed=outcome.missed,
        )
        write_image(output / "worst" / f"{path.stem}.jpg", picture)
        drawn.append(picture)
        titles.append(f"{path.name}: {score.matched} of {score.ground_truths} found")
    if not drawn:
        return None
    write_image(output / "worst.jpg", sheet(drawn, titles, columns=3, tile_width=640))
    return output / "worst.jpg"


def main() -> int:
    arguments = parse_arguments()
    task, run, content = load_trained_task(arguments.checkpoint, "detection")
    if not isinstance(task, DetectionTask):
        raise TypeError("a checkpoint of kind detection holds a DetectionTask")
    records = read_all_records(arguments.records or run.data.validation, "evaluation")
    device = resolve_device(arguments.device)
    task.to(device).to(memory_format=torch.channels_last)
    metric = DetectionMetric(records, task.evaluation)
    dataset = RecordDataset(records, task.prepare_evaluation, run.training.seed)
    loader = LoaderSettings(workers=arguments.workers, evaluation_batch_size=run.loader.evaluation_batch_size)
    skipped = evaluate(task, dataset, metric, loader, device)
    output = arguments.output or arguments.checkpoint.parent / "evaluation"
    output.mkdir(parents=True, exist_ok=True)
    sweep = metric.evaluator.scores()
    summary = {
        "checkpoint": str(arguments.checkpoint),
        "step": content["step"],
        "skipped": [image.reason for image in skipped],
        **sweep_report(sweep),
    }
    (output / "evaluation.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(format_sweep(sweep))
    for image in skipped:
        print(f"skipped image: {image.reason}")
    sheet_path = draw_worst(metric, records, arguments.pictures, output)
    print(f"JSON: {output / 'evaluation.json'}")
    if sheet_path is not None:
        print(f"worst images: {sheet_path}")
    return 0


if __name__ == "__main__":
    run_command(main)
