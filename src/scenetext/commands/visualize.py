"""Pictures by which a dataset or a detector is debugged by eye.

dataset      the ground truth of records: text, ignored text, first vertices
targets      training samples as the detector sees them: the augmented image, and every target map
predictions  a checkpoint on records: hit, missed, false, ignored by the run's protocol, and every map of the head
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from scenetext.commands.command_line import command_parser
from scenetext.data.loading.dataset import LoadedSample, RecordDataset, collate_loaded
from scenetext.data.records.files import JoinedRecords
from scenetext.data.records.images import write_image
from scenetext.data.records.shards import read_record_image
from scenetext.drawing.detections import FALSE, HIT, IGNORED, MISSED, draw_comparison, draw_instances
from scenetext.drawing.maps import map_panels
from scenetext.drawing.sheets import add_legend, sheet
from scenetext.errors import DataError
from scenetext.inspection.sample_sheet import LEGEND, write_sample_sheet
from scenetext.runs.build import build_detection_task, load_trained_task
from scenetext.runs.data import read_all_records, training_sets
from scenetext.runs.settings import load_run
from scenetext.structures import ImageRecord
from scenetext.tasks.detection import DetectionMetric, DetectionTask
from scenetext.training.device import resolve_device

EXAMPLES = """\
  python tools/visualize.py dataset data/icdar2015/train.jsonl --count 12
  python tools/visualize.py targets configs/detectors/dbnet_tiny_icdar2015.yaml transform.size=[640,640]
  python tools/visualize.py predictions outputs/dbnet_tiny/best.pt --records data/icdar2015/val.jsonl
  python tools/visualize.py predictions outputs/dbnet_tiny/best.pt --only img_12.jpg --threshold 0.6
"""
PREDICTIONS = (
    ("hit", HIT),
    ("false", FALSE),
    ("missed", MISSED),
    ("ignored, or left out because of it", IGNORED),
    ("ground truth that was hit: thin", (200, 200, 200)),
)
MAPS = ("maps: black is least, pale yellow most, in the range of the title; labels in colours", (250, 190, 60))
PANEL_WIDTH = 480


def choose_records(records: Sequence[ImageRecord], arguments: argparse.Namespace) -> list[tuple[int, ImageRecord]]:
    """The images to show, with their places in the records: those named by --only, else a random choice.

    Raises:
        DataError: no image has such a name.
    """
    numbered = range(len(records))
    if arguments.only:
        chosen = [i for i in numbered if any(part in str(records[i].path) for part in arguments.only)]
        if not chosen:
            raise DataError(f"none of {len(records)} images has {' or '.join(arguments.only)} in its path")
        return [(index, records[index]) for index in chosen[: arguments.count]]
    order = np.random.default_rng(arguments.seed).permutation(len(records))
    return [(index, records[index]) for index in sorted(order[: arguments.count].tolist())]


def show_dataset(arguments: argparse.Namespace) -> list[Path]:
    """One sheet of the ground truth."""
    chosen = [record for _, record in choose_records(read_all_records(arguments.records, "drawing"), arguments)]
    path: Path = arguments.output / "dataset.png"
    errors = write_sample_sheet(path, chosen, len(chosen))
    if errors and len(errors) == len(chosen):
        raise errors[0]
    for error in errors:
        print(f"not on {path.name}: {error}", file=sys.stderr)
    return [path]


def show_targets(arguments: argparse.Namespace) -> list[Path]:
    """A sheet per training sample."""
    run = load_run(arguments.config, arguments.overrides, "detection")
    with torch.device("meta"):  # only the preparation of samples is needed, no weights
        task = build_detection_task(run)  # type: ignore[arg-type]
    records = JoinedRecords(training_sets(run.data))
    dataset = RecordDataset(records, task.prepare_training, run.training.seed)
    written = []
    for index, record in choose_records(records, arguments):
        prepared = dataset[arguments.epoch, index].prepared
        image = draw_instances(prepared.sample.image, prepared.sample.instances, show_texts=False)
        first = (f"{record.path.name}, epoch {arguments.epoch}", image)
        others = map_panels(prepared.targets, prepared.sample.image)
        path = arguments.output / "targets" / f"{index:06d}_{record.path.stem}.png"
        written.append(save(path, panels_sheet([first, *others], LEGEND)))
        tell_undrawn(prepared.targets)
    return written


@torch.no_grad()
def show_predictions(arguments: argparse.Namespace) -> list[Path]:
    """A sheet per image; prints what was hit and missed."""
    task, run, content = load_trained_task(arguments.checkpoint, "detection")
    if not isinstance(task, DetectionTask):
        raise TypeError("a checkpoint of kind detection holds a DetectionTask")
    device = resolve_device(arguments.device)
    task.to(device).to(memory_format=torch.channels_last).eval()
    threshold = arguments.threshold
    if threshold is None:
        threshold = content.get("figures", {}).get("threshold", 0.5)
    chosen = choose_records(read_all_records(arguments.records or run.data.validation, "drawing"), arguments)
    records = [record for _, record in chosen]
    settings = task.evaluation.model_copy(update={"thresholds": (threshold,)})
    metric = DetectionMetric(records, settings)
    dataset = RecordDataset(records, task.prepare_evaluation, 0)
    written = []
    for index, (number, record) in enumerate(chosen):
        maps = predict_into(task, dataset.evaluation_item(index), metric, device)
        photograph = read_record_image(record)
        compared = compare(photograph, record, metric, threshold)
        panels = [(f"{record.path.name}, score >= {threshold:g}", compared), *map_panels(maps, photograph)]
        path = arguments.output / "predictions" / f"{number:06d}_{record.path.stem}.png"
        written.append(save(path, panels_sheet(panels, PREDICTIONS)))
    figures = metric.compute()
    rates = ", ".join(f"{name} {figures[name]:.3f}" for name in ("precision", "recall", "hmean"))
    print(f"{len(records)} images at score threshold {threshold:g}: {rates} (rule: {metric.evaluator.protocol.rule()})")
    return written


def predict_into(
    task: DetectionTask, item: LoadedSample, metric: DetectionMetric, device: torch.device
) -> dict[str, np.ndarray]:
    """Adds one image to the metric and returns its maps, cut to where the photograph is, (h, w) or (C, h, w) each."""
    batch = collate_loaded([item]).to(device)
    metric.update(batch, task.detect(batch))
    shares = np.array(batch.metas[0].content_size) / batch.images.shape[2:]
    maps = {name: value[0].float().cpu().numpy() for name, value in task.maps(batch.images).items()}
    return {name: cut_to_content(value, shares) for name, value in maps.items()}


def cut_to_content(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The part (height, width), given as shares, of a map (..., h, w) from its top-left corner."""
    height, width = np.ceil(shares * values.shape[-2:]).astype(int).tolist()
    return values[..., :height, :width]


def compare(photograph: np.ndarray, record: ImageRecord, metric: DetectionMetric, threshold: float) -> np.ndarray:
    """The photograph with detections and ground truth in the colours of what became of them."""
    outcome = metric.evaluator.images[record.path].outcome(threshold)
    return draw_comparison(
        photograph,
        metric.detections[record.path],
        record.instances,
        hits=outcome.hits,
        false=outcome.false,
        left_out=outcome.left_out,
        missed=outcome.missed,
    )


def panels_sheet(
    panels: Sequence[tuple[str, np.ndarray]], legend: Sequence[tuple[str, tuple[int, int, int]]]
) -> np.ndarray:
    """Titled pictures and what their colours mean."""
    columns, width = (2, PANEL_WIDTH) if len(panels) <= 4 else (3, PANEL_WIDTH) if len(panels) <= 12 else (6, 320)
    drawn = sheet([panel for _, panel in panels], [title for title, _ in panels], columns, width)
    return add_legend(drawn, [*legend, MAPS])


def tell_undrawn(targets: Mapping[str, np.ndarray]) -> None:
    """Prints the targets that are no maps."""
    for name, array in targets.items():
        if array.ndim not in (2, 3):
            print(f"not drawn, since it is no map: {name} {array.shape}")


def save(path: Path, picture: np.ndarray) -> Path:
    write_image(path, picture)
    return path


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(__doc__ or "", EXAMPLES)
    commands = parser.add_subparsers(dest="command", required=True)
    dataset = commands.add_parser("dataset", help="the ground truth of records")
    dataset.add_argument("records", type=Path, nargs="+", help="record files")
    dataset.set_defaults(show=show_dataset)
    targets = commands.add_parser("targets", help="training samples and what is learnt from them")
    targets.add_argument("config", type=Path, help="run file (YAML)")
    targets.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change")
    targets.add_argument("--epoch", type=int, default=0, help="whose random transforms are shown")
    targets.set_defaults(show=show_targets)
    predictions = commands.add_parser("predictions", help="a checkpoint against the ground truth")
    predictions.add_argument("checkpoint", type=Path, help="a detector's best.pt, written by tools/train.py")
    predictions.add_argument("--records", type=Path, nargs="+", help="default: the run's validation records")
    predictions.add_argument("--threshold", type=float, help="least score; default: the checkpoint's best, or 0.5")
    predictions.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    predictions.set_defaults(show=show_predictions)
    for command in (dataset, targets, predictions):
        command.add_argument("--output", type=Path, default=Path("outputs/pictures"), help="folder for the sheets")
        command.add_argument("--count", type=int, default=6, help="how many images")
        command.add_argument("--seed", type=int, default=0, help="of the choice of images")
        command.add_argument("--only", nargs="+", help="show images with one of these in their paths")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    for path in arguments.show(arguments):
        print(path)
    return 0
