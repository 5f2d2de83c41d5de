"""oCLIP as a task: two losses, predictions, and the preparation of images and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from scenetext.contracts import Encoder, Metric, PretrainingParts
from scenetext.data.transforms.evaluation import WholeImageTransformSettings, whole_image_transform
from scenetext.errors import ConfigError
from scenetext.evaluation.retrieval import RANKS
from scenetext.layers.normalization import PixelNormalization
from scenetext.pretraining.oclip.attention import attention_sheet, image_attention
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.pretraining.oclip.loss import MicroBatchSummary, oclip_loss, pairs_of, placed_words
from scenetext.pretraining.oclip.metric import FIRST_STAGE_BEST, OclipMetric, OclipPredictions
from scenetext.pretraining.oclip.model import OclipModel
from scenetext.pretraining.oclip.targets import covered_cells, decode_typed_word, encode_words
from scenetext.structures import Batch, ImageMeta, ImageRecord, PreparedSample, Sample
from scenetext.text.charset import CharacterSet

ENCODER_STRIDE = 32
WORDS_DRAWN = 6
"""Of an image with more, the first in its slots are drawn, which are in a random order."""


class OclipTask(nn.Module):
    """Learns to match images with their words and to read the hidden character of each word from the image.

    Args:
        settings: the method.
        characters: the dictionary that words are encoded with.
        transform: how images are brought to the model's square input.
        augment: False prepares training images as evaluation images (for `--overfit`).
    """

    overfit_mark = 0.9

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
        self.best_metric = FIRST_STAGE_BEST if settings.first_stage else "accuracy"
        self.loss_weights: Mapping[str, float] = {str(name): weight for name, weight in settings.loss_weights.items()}
        self.network = OclipModel(settings, vocabulary_size(settings, characters))
        self.normalization = PixelNormalization(self.network.visual.pixel_mean, self.network.visual.pixel_std)

    @property
    def encoder(self) -> Encoder:
        """The image encoder, which detectors start from."""
        return self.network.visual

    def forward(self, batch: Batch, others: Sequence[MicroBatchSummary] = ()) -> dict[str, Tensor]:
        """The unweighted terms "character" (absent in the first stage) and "contrastive"."""
        images = self.normalization(batch.images)
        outputs = self.network(images, batch.targets["characters"], batch.targets["padding"])
        return oclip_loss(outputs, batch.targets["masked"], self.settings, others, batch.targets.get("cells"))

    def after_update(self) -> None:
        """Nothing: no other weights follow the trained ones."""

    def after_evaluation(self, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """Nothing beside the values."""
        return ()

    def summary(self, batch: Batch) -> MicroBatchSummary:
        """The features of a micro-batch, with which the contrastive loss of the others compares its own."""
        features = self.network.features(self.normalization(batch.images), batch.targets["characters"])
        hidden = batch.targets["masked"].count_nonzero()
        cells = batch.targets.get("cells")
        placed = torch.zeros_like(hidden) if cells is None else placed_words(cells)
        return MicroBatchSummary(pairs_of(features, self.settings), hidden, placed)

    def compiled_parts(self) -> Sequence[nn.Module]:
        """The image tower: nearly all of the work, on images of one size."""
        return (cast(nn.Module, self.network.visual),)

    def predict(self, batch: Batch) -> OclipPredictions:
        """Features for retrieval, and the hidden characters as read from the right and from a shuffled image.

        The shuffled image is that of the next sample of the batch.
        """
        masked, padding = batch.targets["masked"], batch.targets["padding"]
        outputs = self.network(self.normalization(batch.images), batch.targets["characters"], padding)
        words = masked > 0
        hidden = masked[words]
        right = hidden.new_empty(len(hidden), RANKS[-1])
        shuffled = hidden[:0]
        if outputs.character_logits is not None and outputs.image_tokens is not None:
            logits = outputs.character_logits[words]
            right = logits.topk(min(RANKS[-1], logits.shape[-1]), dim=-1).indices
            if len(batch.metas) > 1:
                others = self.network.decode_characters(
                    outputs.word_embeddings, outputs.image_tokens.roll(1, 0), padding.roll(1, 0)
                )
                shuffled = others[words].argmax(-1)
        return OclipPredictions(
            outputs.image_features, outputs.text_features, outputs.has_words, hidden, right, shuffled
        )

    def pictures(self, batch: Batch) -> dict[str, np.ndarray]:
        """A sheet per image: the input, the attention of its whole, and of its first words with what is read there."""
        maps = self.network.attention_maps(
            self.normalization(batch.images), batch.targets["characters"], batch.targets["padding"]
        )
        characters, masked = (batch.targets[name].cpu().numpy() for name in ("characters", "masked"))
        size = (batch.images.shape[2], batch.images.shape[3])
        drawn = {}
        for index, (name, image) in enumerate(batch.named_images().items()):
            words = np.flatnonzero(characters[index].any(axis=1))
            typed = [decode_typed_word(characters[index, slot], self.characters) for slot in words[:WORDS_DRAWN]]
            hidden = [self.characters.decode(int(masked[index, slot])) for slot in words[:WORDS_DRAWN]]
            attention = image_attention(maps, index, typed, self.characters, size, image.shape[:2], hidden)
            title = f"input, {len(attention.words)} of {len(words)} words"
            drawn[name] = attention_sheet(image, attention, title)
        return drawn

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """Whole image with a slight random scale; words and hidden characters are drawn again each time."""
        moved = whole_image_transform(sample, self.transform, generator if self.augment else None)
        return self._prepare(moved, generator, self.settings.hidden_per_word)

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """Whole image; words and hidden characters, one of each word, are those that the generator gives."""
        return self._prepare(whole_image_transform(sample, self.transform, None), generator, 1)

    def study(self, records: Mapping[str, Sequence[ImageRecord]]) -> list[str]:
        """Nothing has to be known of the records before the start."""
        return []

    def metric(self, records: Sequence[ImageRecord]) -> Metric:
        """Masked-character accuracy with the right and with a shuffled image; in the first stage, retrieval alone."""
        return OclipMetric()

    def _prepare(self, sample: Sample, generator: np.random.Generator, hidden_per_word: int) -> PreparedSample:
        known = [instance for instance in sample.instances if instance.text and not instance.ignore]
        texts = [instance.text or "" for instance in known]
        targets = encode_words(texts, self.characters, self.settings, generator, hidden_per_word)
        origin, size = targets.pop("origin"), (sample.image.shape[0], sample.image.shape[1])
        if self.settings.loss_weights["place"]:
            targets["cells"] = covered_cells([each.polygon for each in known], origin, size, ENCODER_STRIDE)
        return PreparedSample(sample, {**targets, "padding": padding_grid(sample.meta, size)})


def make_task(parts: PretrainingParts) -> OclipTask:
    """The task of a run."""
    return OclipTask(parts.run.method, parts.characters, parts.run.transform, parts.augment)


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
    """(H / 32, W / 32) bool, True where a grid cell shows nothing of the image. `size`: (H, W) of the input."""
    rows = np.arange(size[0] // ENCODER_STRIDE) * ENCODER_STRIDE >= meta.content_size[0]
    columns = np.arange(size[1] // ENCODER_STRIDE) * ENCODER_STRIDE >= meta.content_size[1]
    return rows[:, None] | columns[None, :]
