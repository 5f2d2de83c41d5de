"""What an evaluation of ODM measures: what is drawn, whether the words steer it, and retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from torch import Tensor

from scenetext.evaluation.report import percent
from scenetext.evaluation.retrieval import Retrieval
from scenetext.structures import Batch


@dataclass(frozen=True)
class Counts:
    """Cells of maps, (B,) int64 each, or sums of them; all of one image is 0 where it does not count.

    Attributes:
        images: 1 where there is a map.
        shared, either: cells drawn and true, and drawn or true, with the image's own words.
        compared_shared, compared_either: the same of the images that `wrong_*` are of.
        wrong_shared, wrong_either: the same with the words of another image.
        wrong_drawn: cells drawn with those words.
        wrong_cells: cells that those images have.
        kept, kept_drawn: with half of the words: true cells of these, and how many of them are drawn.
        removed, removed_drawn: true cells of the other half, and how many are drawn all the same.
        cells, empty_drawn: all cells, and those drawn without any words.
    """

    images: Tensor
    shared: Tensor
    either: Tensor
    compared_shared: Tensor
    compared_either: Tensor
    wrong_shared: Tensor
    wrong_either: Tensor
    wrong_drawn: Tensor
    wrong_cells: Tensor
    kept: Tensor
    kept_drawn: Tensor
    removed: Tensor
    removed_drawn: Tensor
    cells: Tensor
    empty_drawn: Tensor


NAMES = tuple(each.name for each in fields(Counts))


@dataclass(frozen=True)
class OdmPredictions:
    """What the model says of a batch.

    Attributes:
        counts: of every image.
        image_features, text_features: (B, D) float32, unit length.
        has_words: (B,) bool, whether the image has any word.
    """

    counts: Counts
    image_features: Tensor
    text_features: Tensor
    has_words: Tensor


class OdmMetric:
    """Sums up cells of maps, and collects features.

    The steering gain is the IoU with the image's own words minus that with the words of another image. A network that
    segments all text without looking at the words has none, whatever its IoU. The selectivity is what is drawn of the
    words that are asked for minus what is drawn of those that are not, in the same image: it asks for the place.
    """

    def __init__(self) -> None:
        self._sums = dict.fromkeys(NAMES, 0)
        self._retrieval = Retrieval()

    def update(self, batch: Batch, predictions: OdmPredictions) -> None:
        """Adds one batch; images without words are no part of retrieval."""
        for name in NAMES:
            self._sums[name] += int(getattr(predictions.counts, name).sum())
        kept = predictions.has_words
        self._retrieval.add(
            predictions.image_features[kept].detach().float().cpu().numpy(),
            predictions.text_features[kept].detach().float().cpu().numpy(),
        )

    def include(self, other: OdmMetric) -> None:
        """Adds what another process counted."""
        self._sums = {name: value + other._sums[name] for name, value in self._sums.items()}
        self._retrieval.include(other._retrieval)

    def compute(self) -> dict[str, float]:
        """Rates in [0, 1] over the cells of all images, NaN where nothing was counted; see `Counts` for what they are
        of. `images` is their number."""
        sums = self._sums
        wrong = _share(sums["wrong_shared"], sums["wrong_either"])
        kept = _share(sums["kept_drawn"], sums["kept"])
        leak = _share(sums["removed_drawn"], sums["removed"])
        return {
            "pixel_iou": _share(sums["shared"], sums["either"]),
            "wrong_words_iou": wrong,
            "steering_gain": _share(sums["compared_shared"], sums["compared_either"]) - wrong,
            "kept_recall": kept,
            "removed_leak": leak,
            "selectivity": kept - leak,
            "empty_area": _share(sums["empty_drawn"], sums["cells"]),
            "foreign_area": _share(sums["wrong_drawn"], sums["wrong_cells"]),
            **self._retrieval.compute(),
            "images": float(sums["images"]),
        }


def report(metrics: Mapping[str, float]) -> list[str]:
    """The values of an evaluation as one row of a table."""
    names = (
        "pixel_iou",
        "wrong_words_iou",
        "steering_gain",
        "kept_recall",
        "removed_leak",
        "selectivity",
        "empty_area",
    )
    cells = [percent(metrics[name]) for name in names]
    for way in ("image_to_text", "text_to_image"):
        cells.append(f"{percent(metrics[f'{way}_recall_1'])} / {percent(metrics[f'{way}_recall_5'])}")
    return [
        f"{metrics['images']:.0f} images with a map, at half size; retrieval at rank 1 / 5 among all images",
        "| IoU | IoU, other words | steering gain | kept | removed | selectivity | drawn without words | image to text "
        "| text to image |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        f"| {' | '.join(cells)} |",
    ]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
