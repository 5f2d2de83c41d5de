"""Evaluates a trained model on records.

A detector: precision, recall and hmean, swept over score thresholds, with drawn pictures of the images where it does
worst (hit, miss, false and ignored in distinct colours). A pre-trained model: masked-character accuracy with the right
and with a wrong image, their difference, the vision gain, and how often images find their own words among those of all
images and the other way round. Prints a table and writes the same as JSON.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from scenetext.build import load_trained_task
from scenetext.command_line import add_view_arguments, command_parser, run_command, view_overrides
from scenetext.data.dataset import RecordDataset
from scenetext.data.images import write_image
from scenetext.data.loader import LoaderSettings
from scenetext.data.shards import read_record_image
from scenetext.drawing.detections import draw_comparison
from scenetext.drawing.sheets import sheet
from scenetext.errors import ImageError
from scenetext.evaluation.report import format_sweep, sweep_report
from scenetext.run_data import check_instances, read_all_records, records_with_words
from scenetext.structures import ImageRecord
from scenetext.tasks.detection import DetectionMetric
from scenetext.tasks.pretraining import PretrainingTask
from scenetext.training.device import resolve_device
from scenetext.training.evaluation import evaluate

EXAMPLES = """\
  python tools/test.py outputs/dbnet_tiny/best.pt
  python tools/test.py outputs/tiny/best.pt --records data/scenes/few_words/records.jsonl
  python tools/test.py outputs/dbnet_tiny/best.pt --records data/icdar2015/val.jsonl --output outputs/icdar2015_val
  python tools/test.py outputs/dbnet_tiny/best.pt --scales 0.75 1 1.5 --flip --set evaluation.decode_workers=4
  python tools/test.py outputs/dbnet_tiny/best.pt --set evaluation_transform.long_side=2000 evaluation.thresholds=[0.6]
"""


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(__doc__ or "", EXAMPLES)
    parser.add_argument("checkpoint", type=Path, help="best.pt, written by tools/train.py or tools/pretrain.py")
    parser.add_argument("--records", type=Path, nargs="+", help="record files; default: the run's validation records")
    parser.add_argument("--output", type=Path, help="folder for results; default: evaluation/ beside the checkpoint")
    parser.add_argument("--pictures", type=int, default=12, help="how many of the worst images to draw")
    add_view_arguments(parser)
    parser.add_argument("--workers", type=int, help="loader processes; default: one less than the cores")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    return parser.parse_args()


def draw_worst(metric: DetectionMetric, records: Sequence[ImageRecord], count: int, output: Path) -> Path | None:
    """Draws the images with the most misses and false detections at the best threshold, one by one and as a sheet."""
    threshold = metric.evaluator.scores().best.threshold
    records_by_path = {record.path: record for record in records}
    drawn, titles = [], []
    for path, score in metric.evaluator.worst(threshold, count):
        outcome = metric.evaluator.images[path].outcome(threshold)
        try:
            pixels = read_record_image(records_by_path[path])
        except ImageError:
            continue  # told as skipped already
        picture = draw_comparison(
            pixels,
            metric.detections[path],
            records_by_path[path].instances,
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


def report_detector(
    metric: DetectionMetric, records: Sequence[ImageRecord], pictures: int, output: Path
) -> dict[str, Any]:
    """Prints the sweep, draws the worst images, and returns what goes into the JSON file."""
    sweep = metric.evaluator.scores()
    print(format_sweep(sweep))
    drawn = draw_worst(metric, records, pictures, output)
    if drawn is not None:
        print(f"worst images: {drawn}")
    return sweep_report(sweep)


def report_pretraining(figures: dict[str, float]) -> dict[str, Any]:
    """Prints the figures of a pre-trained model and returns them for the JSON file."""
    print(f"{figures['words']:.0f} words, one hidden character each; retrieval at rank 1 / 5 among all images")
    print("| right image | wrong image | vision gain | top 5 | image to text | text to image |")
    print("|---:|---:|---:|---:|---:|---:|")
    cells = [percent(figures[name]) for name in ("accuracy", "wrong_image_accuracy", "vision_gain", "top5_accuracy")]
    for way in ("image_to_text", "text_to_image"):
        cells.append(f"{percent(figures[f'{way}_recall_1'])} / {percent(figures[f'{way}_recall_5'])}")
    print(f"| {' | '.join(cells)} |")
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def percent(rate: float) -> str:
    return f"{100 * rate:.1f}"


def main() -> int:
    arguments = parse_arguments()
    task, run, content = load_trained_task(arguments.checkpoint, overrides=view_overrides(arguments))
    files = read_all_records(arguments.records or run.data.validation, "evaluation")
    records: Sequence[ImageRecord] = files
    if isinstance(task, PretrainingTask):
        records, remark = records_with_words(files, task.characters, task.settings.unknown_characters, "evaluation")
        print(remark)
    else:
        check_instances(files, f"evaluation in {', '.join(map(str, files.paths))}")
    device = resolve_device(arguments.device)
    task.to(device).to(memory_format=torch.channels_last)
    metric = task.metric(records)
    dataset = RecordDataset(records, task.prepare_evaluation, run.training.seed)
    loader = LoaderSettings(workers=arguments.workers, evaluation_batch_size=run.loader.evaluation_batch_size)
    skipped = evaluate(task, dataset, metric, loader, device)
    for image in skipped:
        print(f"skipped image: {image.reason}")
    output: Path = arguments.output or arguments.checkpoint.parent / "evaluation"
    output.mkdir(parents=True, exist_ok=True)
    if isinstance(metric, DetectionMetric):
        result = report_detector(metric, records, arguments.pictures, output)
    else:
        result = report_pretraining(metric.compute())
    origin = {"checkpoint": str(arguments.checkpoint), "step": content["step"], "skipped": [i.reason for i in skipped]}
    (output / "evaluation.json").write_text(json.dumps({**origin, **result}, indent=1) + "\n", encoding="utf-8")
    print(f"JSON: {output / 'evaluation.json'}")
    return 0


if __name__ == "__main__":
    run_command(main)
