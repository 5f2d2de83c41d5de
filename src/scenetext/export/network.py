"""A trained detector's encoder and head as an ONNX file with dynamic batch and size."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import scenetext
from scenetext.errors import ConfigError
from scenetext.export.forms import Form
from scenetext.runs.build import describe_run
from scenetext.runs.exported import FORMAT_VERSION, METADATA_KEY, stages_file
from scenetext.runs.settings import Run
from scenetext.tasks.detection import DetectionTask, head_channels
from scenetext.tasks.inference import prepare_for_inference
from scenetext.tcm.guidance import GuidedEncoder
from scenetext.weights.files import write_safetensors

OPSET = 17
"""Version of ONNX's operators: new enough for all that detectors compute, old enough for OpenCV 4.8."""
INPUT = "images"
MULTIPLE = 32
"""Height and width of the input are multiples of it."""
_TRACED_SIZE = (64, 96)
"""Height and width of the image that is traced; not square, as TCM's table of positions is."""
_FOR_STAGES = "features"


class ExportedNetwork(nn.Module):
    """Images as a form has them, to the maps that are decoded or that stages read, in the order of `names`.

    Args:
        task: prepared for inference, in float32.
        form: input and output.
    """

    def __init__(self, task: DetectionTask, form: Form) -> None:
        super().__init__()
        self.encoder = task.encoder
        self.head = task.head
        self.form = form
        self.adapter = _adapter(task, form)
        self.names = _names(task)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """images: (B, 3, H, W) float32; H and W multiples of 32."""
        if self.adapter is not None:
            images = self.adapter(images)
        maps = self.head(self.encoder(images))
        found = tuple(maps[name] for name in self.names)
        if not self.form.probability:
            return found
        return tuple(logits.sigmoid()[0] if self.form.fixed_size else logits.sigmoid()[:, None] for logits in found)


def write_network(
    task: DetectionTask, run: Run, content: Mapping[str, Any], form: Form, size: tuple[int, int], path: Path
) -> list[str]:
    """Writes the network, with all that loading it needs as JSON in its metadata, and the weights of its stages.

    The exporter is the one that traces: torch.export proves what holds for all sizes, which fails for some heads
    (divisions of sizes) and takes forty times as long for the others.

    Args:
        task: with its weights; it stays as it is.
        run, content: as `load_trained_task` gives them.
        size: (height, width) of a form of fixed size.
        path: of the ONNX file.

    Returns:
        Remarks: what else was written.

    Raises:
        ConfigError: the onnx package is missing, or an operator of the network has no form in ONNX.
    """
    ready = deepcopy(task)
    prepare_for_inference(ready, torch.device("cpu"))
    if isinstance(ready.encoder, GuidedEncoder):
        ready.encoder.store_text()
    network = ExportedNetwork(ready, form)
    _trace(network, size if form.fixed_size else _TRACED_SIZE, path)
    _add_metadata(path, _description(network, task, run, content))
    later: nn.ModuleDict | None = getattr(task.head, "later", None)
    if not later or form.probability:
        return []
    write_safetensors(stages_file(path), later.state_dict(), {"format": "pt"})
    return [f"{stages_file(path)}: weights of {', '.join(later)}, which look again where text is found (PyTorch)"]


def _names(task: DetectionTask) -> list[str]:
    """The maps that the head makes; those for stages only where there are stages."""
    with torch.no_grad():
        maps = task.head(task.encoder(torch.zeros(1, 3, *_TRACED_SIZE)))
    return [name for name in maps if task.spec.stages or not name.startswith(_FOR_STAGES)]


def _adapter(task: DetectionTask, form: Form) -> nn.Module | None:
    """From a form's input to the encoder's: another order, factor and shift of channels, as a 1x1 convolution."""
    if form.mean is None or form.std is None:
        return None
    mean, std = (torch.tensor(values) for values in (task.encoder.pixel_mean, task.encoder.pixel_std))
    given_mean, given_std = torch.tensor(form.mean), torch.tensor(form.std)
    positions = torch.tensor(["RGB".index(channel) for channel in form.order])
    adapter = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        adapter.weight.zero_()
        adapter.weight[positions, torch.arange(3), 0, 0] = given_std / std[positions]
        adapter.bias[positions] = (given_mean - mean[positions]) / std[positions]  # type: ignore[index]
    return adapter


def _trace(network: ExportedNetwork, size: tuple[int, int], path: Path) -> None:
    """Writes what the network computes on an image of a size; without fixed size, for all batches and sizes."""
    sizes = {} if network.form.fixed_size else {0: "batch", 2: "height", 3: "width"}
    axes = {INPUT: sizes, **{name: {0: "batch"} for name in network.names if sizes}}
    images = torch.rand(1 if network.form.fixed_size else 2, 3, *size)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # that tracing fixes what is not a tensor: the comparison would show it
            torch.onnx.export(
                network,
                (images,),
                str(path),
                input_names=[INPUT],
                output_names=network.names,
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
    except ImportError as error:
        raise ConfigError(
            f'exporting needs onnx, which cannot be imported ({error}): pip install "scenetext[export]"'
        ) from None
    except torch.onnx.errors.OnnxExporterError as error:
        path.unlink(missing_ok=True)
        raise ConfigError(
            f"{path}: the network has an operator without a form in ONNX, as deformable convolutions "
            f"(encoder.deformable_stages) and resized positions of vision transformers: {str(error).splitlines()[0]}"
        ) from None


def _description(network: ExportedNetwork, task: DetectionTask, run: Run, content: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says of itself; plain data."""
    form = network.form
    return {
        **describe_run(run, None),
        "format_version": FORMAT_VERSION,
        "scenetext": scenetext.__version__,
        "form": form.name,
        "detector": task.config.name,
        "step": content["step"],
        "characters": content.get("characters"),
        "channels": list(head_channels(task.spec, task.encoder)),
        "input": {
            "name": INPUT,
            "order": form.order,
            "mean": list(form.mean or task.encoder.pixel_mean),
            "std": list(form.std or task.encoder.pixel_std),
            "multiple_of": MULTIPLE,
        },
        "outputs": network.names,
    }


def _add_metadata(path: Path, description: Mapping[str, Any]) -> None:
    import onnx

    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(description)
    onnx.save(model, str(path))
