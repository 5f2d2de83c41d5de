"""Exported networks in integers of 8 bits: static quantisation by ONNX Runtime, and what it costs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenetext.data.loading.dataset import RecordDataset, collate_loaded
from scenetext.data.loading.loader import LoaderSettings
from scenetext.errors import ConfigError
from scenetext.evaluation.report import percent
from scenetext.export.network import INPUT
from scenetext.structures import ImageRecord
from scenetext.tasks.detection import DetectionMetric, DetectionTask
from scenetext.training.evaluation import evaluate


def quantize(source: Path, target: Path, images: Iterable[Tensor]) -> None:
    """Weights (per channel) and maps between layers as integers of 8 bits.

    Ranges of maps are those of calibration images. Metadata are kept.

    Args:
        source, target: ONNX files, in float32 and in int8.
        images: (B, 3, H, W) float32, normalised; the calibration images, batch by batch.

    Raises:
        ConfigError: onnxruntime or onnx is missing.
    """
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise ConfigError(
            f'--int8 needs onnx and onnxruntime, which cannot be imported ({error}): pip install "scenetext[export]"'
        ) from None

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.inputs = ({INPUT: np.ascontiguousarray(each.numpy())} for each in images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.inputs, None)

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises a preparation of the model, which the exporter has done
    try:
        quantize_static(
            _with_own_values(onnx.load(str(source))),
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
    finally:
        root.setLevel(level)


def _with_own_values(model: Any) -> Any:
    """An ONNX model in which no two layers share a stored value.

    The exporter keeps equal values once, as the biases of an untrained network, and refers to them by Identity; a
    convolution with such a bias would be left in float32.
    """
    stored = {value.name: value for value in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Identity" or node.input[0] not in stored:
            nodes.append(node)
            continue
        copied = model.graph.initializer.add()
        copied.CopyFrom(stored[node.input[0]])
        copied.name = node.output[0]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def calibration_images(task: DetectionTask, records: Sequence[ImageRecord]) -> Iterator[Tensor]:
    """What the network sees of every image, (1, 3, H, W) float32."""
    dataset = RecordDataset(records, task.prepare_evaluation, 0)
    for index in range(len(records)):
        yield task.normalization(collate_loaded([dataset.evaluation_item(index)]).images)


@dataclass(frozen=True)
class Measured:
    """What a network reaches on some records.

    Attributes:
        at_threshold: hmean at the threshold of the config.
        best, best_threshold: the best hmean, chosen on these very images.
    """

    at_threshold: float
    best: float
    best_threshold: float


def measure(task: DetectionTask, records: Sequence[ImageRecord]) -> Measured:
    """The hmean of a task by the rule of its run."""
    threshold = task.evaluation.threshold
    tried = tuple(sorted({*task.evaluation.thresholds, threshold}))
    metric = DetectionMetric(records, task.evaluation.model_copy(update={"thresholds": tried}))
    dataset = RecordDataset(records, task.prepare_evaluation, 0)
    evaluate(task, dataset, metric.update, LoaderSettings(workers=0, evaluation_batch_size=1), torch.device("cpu"))
    sweep = metric.counts.scores()
    return Measured(sweep.at(threshold).hmean, sweep.best.hmean, sweep.best.threshold)


def cost_table(networks: dict[str, Measured], task: DetectionTask, images: int) -> str:
    """The hmean of several networks, a row each."""
    rule = task.evaluation.protocol
    fixed = f"hmean at {task.evaluation.threshold:g}"
    lines = [
        f"| {images} images, rule `{rule}` | {fixed} | best hmean on this set (threshold) |",
        "|---|---:|---:|",
    ]
    for name, one in networks.items():
        lines.append(f"| {name} | {percent(one.at_threshold)} | {percent(one.best)} ({one.best_threshold:g}) |")
    return "\n".join(lines)
