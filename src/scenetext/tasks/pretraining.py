"""oCLIP pre-training as a task: two losses, and the vision gain as the measure of success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from scenetext.contracts import Metric
from scenetext.data.transforms import WholeImageTransformSettings, whole_image_transform
from scenetext.errors import ConfigError
from scenetext.layers.normalization import PixelNormalization
from scenetext.oclip.config import OclipSettings
from scenetext.oclip.loss import PartSummary, oclip_loss, pairs_of
from scenetext.oclip.model import OclipModel
from scenetext.oclip.targets import encode_words
from scenetext.structures import Batch, ImageMeta, ImageRecord, PreparedSample, Sample
from scenetext.text.charset import CharacterSet

ENCODER_STRIDE = 32


@dataclass(frozen=True)
class PretrainingPredictions:
    """What the model says of a batch: W real words in B images.

    Attributes:
        matched: (M,) bool, whether the image's own words are the nearest of all in the batch; one entry per image
            with words, none where the batch has one image.
        hidden: (W,) int64, ids of the hidden characters; empty in the first stage, like the following.
        right: (W,) int64, predicted ids with the word's own image.
        wrong: (W,) int64, predicted ids with another image of the batch; empty where the batch has one image.
    """

    matched: Tensor
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
        self.network = OclipModel(settings, vocabulary_size(settings, characters))
        self.normalization = PixelNormalization(self.network.visual.pixel_mean, self.network.visual.pixel_std)

    def forward(self, batch: Batch, others: Sequence[PartSummary] = ()) -> dict[str, Tensor]:
        """The unweighted terms "character" (absent in the first stage) and "contrastive"."""
        images = self.normalization(batch.images)
        outputs = self.network(images, batch.targets["characters"], batch.targets["padding"])
        return oclip_loss(outputs, batch.targets["masked"], self.settings, others)

    def summary(self, batch: Batch) -> PartSummary:
        """The features of a part, which the contrastive loss of other parts compares theirs with."""
        features = self.network.features(self.normalization(batch.images), batch.targets["characters"])
        return PartSummary(pairs_of(features, self.settings), batch.targets["masked"].count_nonzero())

    def compiled_parts(self) -> Sequence[nn.Module]:
        """The image tower: nearly all of the work, on images of one size."""
        return (self.network.visual,)

    def predict(self, batch: Batch) -> PretrainingPredictions:
        """Which images find their words, and the hidden characters as read from the right and from a wrong image.

        The wrong image is that of the next sample of the batch.
        """
        masked, padding = batch.targets["masked"], batch.targets["padding"]
        outputs = self.network(self.normalization(batch.images), batch.targets["characters"], padding)
        single = len(batch.metas) < 2
        nearest = (outputs.image_features @ outputs.text_features.T).argmax(dim=1)
        own = nearest == torch.arange(len(nearest), device=nearest.device)
        matched = own[outputs.has_words & (not single)]
        hidden = masked[masked > 0]
        if outputs.character_logits is None or outputs.image_tokens is None:
            return PretrainingPredictions(matched, hidden, hidden, hidden)
        right = outputs.character_logits.argmax(-1)[masked > 0]
        if single:
            return PretrainingPredictions(matched, hidden, right, right[:0])
        logits = self.network.decode_characters(
            outputs.word_embeddings, outputs.image_tokens.roll(1, 0), padding.roll(1, 0)
        )
        return PretrainingPredictions(matched, hidden, right, logits.argmax(-1)[masked > 0])

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """Whole image with a slight random scale; words and hidden characters are drawn anew each time."""
        return self._prepare(
            whole_image_transform(sample, self.transform, generator if self.augment else None), generator
        )

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """Whole image; words and hidden characters are those that the generator gives."""
        return self._prepare(whole_image_transform(sample, self.transform, None), generator)

    def metric(self, records: Sequence[ImageRecord]) -> Metric:
        """Masked-character accuracy with the right and with a wrong image; in the first stage, matching alone."""
        return VisionGain("matching_accuracy" if self.settings.first_stage else "accuracy")

    def _prepare(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        texts = [instance.text for instance in sample.instances if instance.text and not instance.ignore]
        targets = encode_words(texts, self.characters, self.settings, generator)
        return PreparedSample(sample, {**targets, "padding": padding_grid(sample.meta, sample.image.shape[:2])})


def vocabulary_size(settings: OclipSettings, characters: CharacterSet) -> int:
    """Rows V of the model's character embedding and classes.

    Raises:
        ConfigError: the settings name fewer than the dictionary needs.
    """
    needed = characters.vocabulary_size
    if settings.vocabulary_size is not None and settings.vocabulary_size < needed:
        raise ConfigError(
            f"method.vocabulary_size {settings.vocabulary_size} is too small for a dictionary of {len(characters)} "
            f"characters, which needs {needed} (padding, mask and end mark besides)"
        )
    return settings.vocabulary_size or needed


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

    overfit_mark = 0.9

    def __init__(self, best: str = "accuracy") -> None:
        self.best = best
        self._images = 0
        self._matched = 0
        self._words = 0
        self._right = 0
        self._compared = 0
        self._compared_right = 0
        self._wrong = 0

    def update(self, batch: Batch, predictions: PretrainingPredictions) -> None:
        """Counts the images and words of one batch."""
        hits = predictions.right == predictions.hidden
        self._images += predictions.matched.numel()
        self._matched += int(predictions.matched.sum())
        self._words += hits.numel()
        self._right += int(hits.sum())
        if predictions.wrong.numel():
            self._compared += hits.numel()
            self._compared_right += int(hits.sum())
            self._wrong += int((predictions.wrong == predictions.hidden).sum())

    def compute(self) -> dict[str, float]:
        """Rates in [0, 1], NaN where nothing was counted.

        `accuracy` is over all words, `wrong_image_accuracy` and `vision_gain` over those that had another image;
        `matching_accuracy` is the share of images whose nearest words in the batch are their own.
        """
        right = _share(self._compared_right, self._compared)
        wrong = _share(self._wrong, self._compared)
        return {
            "accuracy": _share(self._right, self._words),
            "wrong_image_accuracy": wrong,
            "vision_gain": right - wrong,
            "matching_accuracy": _share(self._matched, self._images),
            "words": float(self._words),
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


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
