"""Pictures by which a dataset or a detector is debugged by eye: ground truth, training samples, predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from scenetext.data.loading.dataset import RecordDataset, collate_loaded
from scenetext.data.records.images import write_image
from scenetext.data.records.shards import read_record_image
from scenetext.drawing.detections import FALSE, HIT, IGNORED, MISSED, draw_comparison, draw_instances, instances_legend
from scenetext.drawing.maps import crop_panels, is_crops, is_map, is_outlines, map_panels, outline_panels
from scenetext.drawing.sheets import add_legend, sheet
from scenetext.errors import DataError
from scenetext.evaluation.evaluator import DetectionEvaluator
from scenetext.evaluation.named_rules import find_protocol
from scenetext.evaluation.scores import Outcome
from scenetext.inspection.predictions import head_panels, predict_with_maps
from scenetext.inspection.sample_sheet import write_sample_sheet
from scenetext.runs.data import read_all_records, training_sets
from scenetext.runs.kinds import DETECTION, build_detection_task
from scenetext.runs.load import load_trained_task, validation_files
from scenetext.runs.settings import DetectionRun, load_run
from scenetext.runs.usable import joined
from scenetext.structures import Detection, ImageRecord
from scenetext.training.device import resolve_device

PREDICTIONS = (
    ("hit", HIT),
    ("false", FALSE),
    ("missed", MISSED),
    ("ignored, or excluded because of it", IGNORED),
    ("ground truth that was hit: thin", (200, 200, 200)),
)
MAPS = ("maps: black is least, pale yellow most, in the range of the title; labels in colours", (250, 190, 60))
PANEL_WIDTH = 480


@dataclass(frozen=True)
class Choice:
    """Which images to show.

    Attributes:
        count: at most so many.
        seed: of the random choice.
        only: parts of paths; images with one of them are shown instead of a random choice.
    """

    count: int
    seed: int = 0
    only: tuple[str, ...] = ()

    def of(self, records: Sequence[ImageRecord]) -> list[tuple[int, ImageRecord]]:
        """The images to show, with their positions in the records.

        Raises:
            DataError: no image has such a path.
        """
        numbered = range(len(records))
        if self.only:
            chosen = [i for i in numbered if any(part in str(records[i].path) for part in self.only)]
            if not chosen:
                raise DataError(f"none of {len(records)} images has {' or '.join(self.only)} in its path")
            return [(index, records[index]) for index in chosen[: self.count]]
        order = np.random.default_rng(self.seed).permutation(len(records))
        return [(index, records[index]) for index in sorted(order[: self.count].tolist())]


@dataclass(frozen=True)
class Shown:
    """What was drawn.

    Attributes:
        sheets: their files.
        remarks: messages about them, a line each.
    """

    sheets: list[Path]
    remarks: list[str] = field(default_factory=list)


def show_dataset(files: Sequence[Path], choice: Choice, output: Path) -> Shown:
    """Draws the ground truth of records on one sheet; remarks on images that cannot be decoded.

    Raises:
        ImageError: none can.
    """
    chosen = [record for _, record in choice.of(read_all_records(files, "drawing"))]
    path = output / "dataset.png"
    errors = write_sample_sheet(path, chosen, len(chosen))
    if errors and len(errors) == len(chosen):
        raise errors[0]
    return Shown([path], [f"not on {path.name}: {error}" for error in errors])


def show_targets(words: Sequence[str], epoch: int, choice: Choice, output: Path) -> Shown:
    """Draws training samples and their targets, a sheet each; remarks on targets that are no maps.

    Args:
        words: names of configs and overrides that describe a detector's run, see `scenetext.runs.words`.
        epoch: whose random transforms are shown.
    """
    run = load_run(words, DetectionRun)
    with torch.device("meta"):  # only the preparation of samples is needed, no weights
        task = build_detection_task(run)
    records = joined(training_sets(run.data))
    dataset = RecordDataset(records, task.prepare_training, run.training.seed)
    shown = Shown([])
    for index, record in choice.of(records):
        prepared = dataset[epoch, index].prepared
        instances = prepared.sample.instances
        image, legend = draw_instances(prepared.sample.image, instances, show_texts=False), instances_legend(instances)
        first = (f"{record.path.name}, epoch {epoch}", image)
        maps = {name: array for name, array in prepared.targets.items() if is_map(array.shape, image.shape[:2])}
        lists = {name: array for name, array in prepared.targets.items() if name not in maps}
        image = prepared.sample.image
        others = [*map_panels(maps, image), *crop_panels(lists), *outline_panels(lists, image)]
        path = output / "targets" / f"{index:06d}_{record.path.stem}.png"
        shown.sheets.append(_save(path, _panels_sheet([first, *others], legend)))
        shown.remarks.extend(
            f"not drawn, since it is no map: {name} {array.shape}"
            for name, array in lists.items()
            if not is_crops(array.shape) and not is_outlines(array.shape)
        )
    return shown


@torch.no_grad()
def show_predictions(
    checkpoint: Path, records_files: Sequence[Path], threshold: float | None, device: str, choice: Choice, output: Path
) -> Shown:
    """Draws what a detector detects and misses, a sheet an image; remarks on its scores.

    Args:
        checkpoint: of a detector.
        records_files: what to look at; none: the validation records of its run.
        threshold: least score; None = the checkpoint's best, or 0.5.
        device: as in the settings of a run.
    """
    task, run, content = load_trained_task(checkpoint, DETECTION)
    target = resolve_device(device)
    task.to(target).to(memory_format=torch.channels_last).eval()
    if threshold is None:
        threshold = content.get("figures", {}).get("threshold", 0.5)
    chosen = choice.of(read_all_records(records_files or validation_files(run, checkpoint), "drawing"))
    records = [record for _, record in chosen]
    evaluator = DetectionEvaluator(find_protocol(task.evaluation.protocol), (threshold,))
    dataset = RecordDataset(records, task.prepare_evaluation, 0)
    written = []
    for index, (number, record) in enumerate(chosen):
        detections, arrays = predict_with_maps(task, collate_loaded([dataset.evaluation_item(index)]).to(target))
        outcome = evaluator.add(record.path, detections, record.instances).outcome(threshold)
        image = read_record_image(record)
        compared = _compare(image, record, detections, outcome)
        panels = [(f"{record.path.name}, score >= {threshold:g}", compared), *head_panels(arrays, image)]
        path = output / "predictions" / f"{number:06d}_{record.path.stem}.png"
        written.append(_save(path, _panels_sheet(panels, PREDICTIONS)))
    score, rule = evaluator.scores().at(threshold), evaluator.protocol.rule()
    rates = f"precision {score.precision:.3f}, recall {score.recall:.3f}, hmean {score.hmean:.3f}"
    return Shown(written, [f"{len(records)} images at score threshold {threshold:g}: {rates} (rule: {rule})"])


def _compare(image: np.ndarray, record: ImageRecord, detections: Sequence[Detection], outcome: Outcome) -> np.ndarray:
    """The image with detections and ground truth coloured by outcome."""
    return draw_comparison(
        image,
        detections,
        record.instances,
        hits=outcome.hits,
        false=outcome.false,
        excluded=outcome.excluded,
        missed=outcome.missed,
    )


def _panels_sheet(
    panels: Sequence[tuple[str, np.ndarray]], legend: Sequence[tuple[str, tuple[int, int, int]]]
) -> np.ndarray:
    """Titled pictures and what their colours mean."""
    columns, width = (2, PANEL_WIDTH) if len(panels) <= 4 else (3, PANEL_WIDTH) if len(panels) <= 12 else (6, 320)
    drawn = sheet([panel for _, panel in panels], [title for title, _ in panels], columns, width)
    return add_legend(drawn, [*legend, MAPS])


def _save(path: Path, picture: np.ndarray) -> Path:
    write_image(path, picture)
    return path
