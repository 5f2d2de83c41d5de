"""oCLIP pre-training as a task: two losses, and the vision gain as the measure of success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from scenetext.contracts import Metric
from scenetext.data.transforms import WholeImageTransformSettings, whole_image_transform
from scenetext.layers.normalization import PixelNormalization
from scenetext.oclip.config import OclipSettings
from scenetext.oclip.loss import oclip_loss
from scenetext.oclip.model import OclipModel
from scenetext.oclip.targets import encode_words
from scenetext.structures import Batch, ImageMeta, ImageRecord, PreparedSample, Sample
from scenetext.text.charset import CharacterSet

ENCODER_STRIDE = 32


@dataclass(frozen=True)
class MaskedCharacterPredictions:
    """What the model says of the hidden characters of a batch; one entry per real word, all (W,) int64.

    Attributes:
        hidden: ids of the hidden characters.
        right: predicted ids with the word's own image.
        wrong: predicted ids with another image of the batch; empty where the batch has one image.
    """

    hidden: Tensor
    right: Tensor
    wrong: Tensor


class PretrainingTask(nn.Module):
    """Learns to match images with their words and to read the hidden character of each word from the image.

    Args:
        settings: the method.
        characters: the dictionary that words are encoded with.
        transform: how images are brought to the model's square input.
        augment: False prepares training images as evaluation images (for `--overfit`).
    """

    def __init__(
        self,
        settings: OclipSettings,
        characters: CharacterSet,
        transform: WholeImageTransformSettings,
        augment: bool = True,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.characters = characters
        self.transform = transform
        self.augment = augment
        self.loss_weights: Mapping[str, float] = {str(name): weight for name, weight in settings.loss_weights.items()}
        self.network = OclipModel(settings, characters.vocabulary_size)
        self.normalization = PixelNormalization(self.network.visual.pixel_mean, self.network.visual.pixel_std)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The unweighted terms "character" (absent in the first stage) and "contrastive"."""
        images = self.normalization(batch.images)
        outputs = self.network(images, batch.targets["characters"], batch.targets["padding"])
        return oclip_loss(outputs, batch.targets["masked"], self.settings)

    def predict(self, batch: Batch) -> MaskedCharacterPredictions:
        """The hidden characters as read from each word's own image, and from the image of the next sample."""
        masked = batch.targets["masked"]
        tokens = self.network.encode_image(self.normalization(batch.images))
        words = self.network.encode_words(batch.targets["characters"])
        padding = batch.targets["padding"]
        real = masked > 0
        right = self.network.decode_characters(words, tokens, padding).argmax(-1)[real]
        wrong = right[:0]
        if len(batch.metas) > 1:
            other = self.network.decode_characters(words, tokens.roll(1, 0), padding.roll(1, 0))
            wrong = other.argmax(-1)[real]
        return MaskedCharacterPredictions(hidden=masked[real], right=right, wrong=wrong)

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """Whole image with a slight random scale; words and hidden characters are drawn anew each time."""
        return self._prepare(
            whole_image_transform(sample, self.transform, generator if self.augment else None), generator
        )

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """Whole image; words and hidden characters are those that the generator gives."""
        return self._prepare(whole_image_transform(sample, self.transform, None), generator)

    def metric(self, records: Sequence[ImageRecord]) -> Metric:
        """Masked-character accuracy with the right and with a wrong image."""
        return VisionGain()

    def _prepare(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        texts = [instance.text for instance in sample.instances if instance.text and not instance.ignore]
        targets = encode_words(texts, self.characters, self.settings, generator)
        return PreparedSample(sample, {**targets, "padding": padding_grid(sample.meta, sample.image.shape[:2])})


def padding_grid(meta: ImageMeta, size: tuple[int, ...]) -> np.ndarray:
    """(H / 32, W / 32) bool, True where a grid cell shows nothing of the photograph. `size`: (H, W) of the input."""
    rows = np.arange(size[0] // ENCODER_STRIDE) * ENCODER_STRIDE >= meta.content_size[0]
    columns = np.arange(size[1] // ENCODER_STRIDE) * ENCODER_STRIDE >= meta.content_size[1]
    return rows[:, None] | columns[None, :]


class VisionGain:
    """Masked-character accuracy with the right image minus that with a wrong one: whether the model looks.

    What can be guessed from the other characters of the word scores the same with any image; only what is read from
    the image is lost with a wrong one.
    """

    best = "accuracy"
    overfit_mark = 0.9

    def __init__(self) -> None:
        self._words = 0
        self._right = 0
        self._compared = 0
        self._compared_right = 0
        self._wrong = 0

    def update(self, batch: Batch, predictions: MaskedCharacterPredictions) -> None:
        """Counts the words of one batch."""
        hits = predictions.right == predictions.hidden
        self._words += hits.numel()
        self._right += int(hits.sum())
        if predictions.wrong.numel():
            self._compared += hits.numel()
            self._compared_right += int(hits.sum())
            self._wrong += int((predictions.wrong == predictions.hidden).sum())

    def compute(self) -> dict[str, float]:
        """`accuracy` over all words; `wrong_image_accuracy` and `vision_gain` over those that had another image."""
        accuracy, right, wrong = (
            count / total if total else float("nan")
            for count, total in (
                (self._right, self._words),
                (self._compared_right, self._compared),
                (self._wrong, self._compared),
            )
        )
        return {
            "accuracy": accuracy,
            "wrong_image_accuracy": wrong,
            "vision_gain": right - wrong,
            "words": float(self._words),
        }


def predict_hidden_characters(logits: Tensor, characters: CharacterSet) -> tuple[list[str], Tensor]:
    """The most probable real character of each word and its probability among all real characters.

    Args:
        logits: (N, V).

    Returns:
        N characters, and (N,) float probabilities in [0, 1]. Padding, mask and end ids are never chosen.
    """
    count = len(characters.characters)
    probabilities = torch.softmax(logits[:, 1 : count + 1].float(), dim=-1)
    best = probabilities.max(dim=-1)
    return [characters.characters[int(index)] for index in best.indices], best.values
