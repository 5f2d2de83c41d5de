"""ODM as a task: three losses, what is drawn of right, other and no words, and the preparation of images and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from scenetext.contracts import Encoder, Metric, PretrainingParts
from scenetext.data.transforms.evaluation import WholeImageTransformSettings, whole_image_transform
from scenetext.data.transforms.training import training_transform
from scenetext.errors import ConfigError
from scenetext.layers.normalization import PixelNormalization
from scenetext.pretraining.odm.config import OdmSettings, OdmTransformSettings
from scenetext.pretraining.odm.drawing import picture_of
from scenetext.pretraining.odm.label import drawable
from scenetext.pretraining.odm.loss import MicroBatchSummary, make_pairs, odm_loss
from scenetext.pretraining.odm.metric import Counts, OdmMetric, OdmPredictions
from scenetext.pretraining.odm.model import EncodedImages, OdmModel, prompted
from scenetext.pretraining.odm.perceptual import load_perceptual
from scenetext.pretraining.odm.targets import DRAWN, evaluation_targets, training_targets
from scenetext.structures import Batch, ImageRecord, PreparedSample, Sample
from scenetext.text.charset import CharacterSet

STUDIED_IMAGES = 2000
"""Images whose words are known as foreign words of others; a start must not read all of a large collection."""


class OdmTask(nn.Module):
    """Learns to draw the words that it is asked for where they are, and to match images with their words.

    Args:
        settings: the method.
        characters: the dictionary that words are encoded with.
        transform: geometry and colour of training.
        augment: False prepares training images as evaluation images (for `--overfit`); the Text-Controller stays.
    """

    best_metric = "steering_gain"
    overfit_mark = 0.2

    def __init__(
        self, settings: OdmSettings, characters: CharacterSet, transform: OdmTransformSettings, augment: bool = True
    ) -> None:
        super().__init__()
        if transform.size != (settings.input_size, settings.input_size):
            raise ConfigError(
                f"transform.size {list(transform.size)} does not agree with method.input_size {settings.input_size}"
            )
        self.settings = settings
        self.characters = characters
        self.transform = transform
        self.whole = WholeImageTransformSettings(size=settings.input_size)
        self.augment = augment
        self.loss_weights: Mapping[str, float] = {str(name): weight for name, weight in settings.loss_weights.items()}
        self.network = OdmModel(settings, len(characters) + 2)
        self.normalization = PixelNormalization(self.network.visual.pixel_mean, self.network.visual.pixel_std)
        self.pool: tuple[str, ...] = ()
        with torch.device("cpu"):
            self.perceptual, self._perceptual_remark = load_perceptual(settings.perceptual)

    @property
    def encoder(self) -> Encoder:
        """The image encoder, which detectors start from."""
        return self.network.visual

    def forward(self, batch: Batch, others: Sequence[MicroBatchSummary] = ()) -> dict[str, Tensor]:
        """The unweighted terms "map", "contrastive" and, where a text detector is named, "perceptual"."""
        targets = batch.targets
        outputs = self.network(
            self.normalization(batch.images), targets["characters"], targets["prompt"], targets["own"]
        )
        return odm_loss(outputs, targets, self.settings, self.perceptual, others)

    def after_update(self) -> None:
        """Nothing: no other weights follow the trained ones."""

    def after_evaluation(self, metrics: Mapping[str, float]) -> tuple[str, ...]:
        """Nothing beside the values."""
        return ()

    def summary(self, batch: Batch) -> MicroBatchSummary:
        """The features of a micro-batch, and its number of images with a map."""
        own = batch.targets["own"]
        features = self.network.features(self.normalization(batch.images), batch.targets["characters"], own)
        pairs = make_pairs(*features, own.any(dim=1), self.settings)
        return MicroBatchSummary(pairs, batch.targets["located"].count_nonzero())

    def compiled_parts(self) -> Sequence[nn.Module]:
        """The image tower, and what draws: nearly all of the work, on images of one size."""
        return (self.network.visual, self.network.fpn_head, self.network.mim)

    def predict(self, batch: Batch) -> OdmPredictions:
        """Features for retrieval, and what is drawn of the image's words, of those of the next image of the batch, of
        half of them, and of none."""
        targets = batch.targets
        encoded = self.network.encode_images(self.normalization(batch.images))
        words, empty = self.network.encode_words(targets["characters"])
        own = targets["own"]
        pooled = self.network.pool_words(words.float(), own)
        drawn = _Drawings(self.network, encoded, words, empty)
        counts = count_cells(drawn, targets, other_words(targets["characters"], targets["prompt"]))
        image = nn.functional.normalize(encoded.tokens[:, 0].float(), dim=-1)
        return OdmPredictions(counts, image, nn.functional.normalize(pooled, dim=-1), own.any(dim=1))

    def pictures(self, batch: Batch) -> dict[str, np.ndarray]:
        """A sheet per image: the input, the label, what is drawn of all words, of all but one, and of another image's;
        and where the network looks for one word."""
        targets = batch.targets
        encoded = self.network.encode_images(self.normalization(batch.images))
        words, empty = self.network.encode_words(targets["characters"])
        drawn = _Drawings(self.network, encoded, words, empty)
        prompt = targets["prompt"]
        without = prompt.clone()
        without[:, 0] = False
        other = other_words(targets["characters"], prompt)
        looked = self.network.attention(encoded, prompted(words, empty, prompt))[..., 0]
        maps = {
            "all": drawn.probabilities(prompt),
            "without": drawn.probabilities(without),
            "other": drawn.probabilities(other.roll(1, 0), shifted=True),
            "attention": looked.reshape(len(looked), *encoded.levels[-1].shape[-2:]),
            "label": targets["map"] / 4,
        }
        arrays = {name: value.float().cpu().numpy() for name, value in maps.items()}
        texts = [self._texts(each) for each in targets["characters"].cpu().numpy()]
        return {
            name: picture_of(
                image, {key: value[index] for key, value in arrays.items()}, texts[index], texts[index - 1]
            )
            for index, (name, image) in enumerate(batch.named_images().items())
        }

    def prepare_training(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """Random geometry and colour, a prompt by the Text-Controller, and the map of it, drawn last."""
        if self.augment:
            moved = training_transform(sample, self.transform, generator)
        else:
            moved = whole_image_transform(sample, self.whole, None)
        return PreparedSample(moved, training_targets(moved, self.settings, self.characters, self.pool, generator))

    def prepare_evaluation(self, sample: Sample, generator: np.random.Generator) -> PreparedSample:
        """The whole image, squeezed, with all of its words."""
        moved = whole_image_transform(sample, self.whole, None)
        return PreparedSample(moved, evaluation_targets(moved, self.settings, self.characters, generator))

    def study(self, records: Mapping[str, Sequence[ImageRecord]]) -> list[str]:
        """Collects words that are foreign to other images, and counts those that cannot be drawn."""
        training = records["train"]
        chosen = np.unique(np.linspace(0, len(training) - 1, STUDIED_IMAGES).astype(int))
        instances = [instance for index in chosen for instance in training[index].instances]
        texts = [instance.text for instance in instances if instance.text and not instance.ignore]
        font = self.settings.font
        fit = [text for text in texts if all(drawable(character, font) for character in text)]
        self.pool = tuple(sorted(set(fit)))
        unplaced = sum(instance.polygon is None for instance in instances)
        return [
            self._perceptual_remark,
            f"labels: of {len(texts)} words in {len(chosen)} images, {len(texts) - len(fit)} cannot be drawn with "
            f"{font or 'the font of Pillow'} and are left out; {unplaced} have no place of their own"
            " and are only matched",
        ]

    def metric(self, records: Sequence[ImageRecord]) -> Metric:
        """IoU, steering gain, selectivity and retrieval."""
        return OdmMetric()

    def _texts(self, characters: np.ndarray) -> list[str]:
        """The words of an image's slots (N, K)."""
        known = self.characters
        return ["".join(known.decode(int(one)) for one in ids if 0 < one <= len(known)) for ids in characters]


class _Drawings:
    """What is drawn of a batch of images by prompts."""

    def __init__(self, network: OdmModel, encoded: EncodedImages, words: Tensor, empty: Tensor) -> None:
        self.network, self.encoded, self.words, self.empty = network, encoded, words, empty

    def probabilities(self, prompt: Tensor, shifted: bool = False) -> Tensor:
        """(B, h, w) in [0, 1].

        Args:
            prompt: (B, N), words that are asked for.
            shifted: of the image before, whose row `prompt` then has.
        """
        words = self.words.roll(1, 0) if shifted else self.words
        return self.network.draw(self.encoded, prompted(words, self.empty, prompt)).float().sigmoid()[:, 0]


def other_words(characters: Tensor, prompt: Tensor) -> Tensor:
    """(B, N) bool, of every image the words of its prompt that the next image of the batch does not have."""
    following, asked = characters.roll(-1, 0), prompt.roll(-1, 0)
    equal = (characters[:, :, None] == following[:, None]).all(dim=-1) & asked[:, None]
    return prompt & ~equal.any(dim=2)


def count_cells(drawings: _Drawings, targets: Mapping[str, Tensor], other: Tensor) -> Counts:
    """What an evaluation counts in a batch.

    Args:
        targets: see `targets.evaluation_targets`.
        other: (B, N), see `other_words`: the words that image i + 1 is asked for instead of its own.
    """
    true, located = targets["map"] >= DRAWN, targets["located"].bool()
    own = drawings.probabilities(targets["prompt"]) > 0.5
    asked = other.roll(1, 0)
    compared = located & asked.any(dim=1) & (len(located) > 1)
    wrong = drawings.probabilities(asked, shifted=True) > 0.5
    half = drawings.probabilities(targets["half"]) > 0.5
    kept = targets["half_map"] >= DRAWN
    removed = true & (targets["half_map"] == 0)
    halved = located & targets["half"].any(dim=1)
    nothing = drawings.probabilities(torch.zeros_like(targets["prompt"])) > 0.5

    def cells(selected: Tensor, images: Tensor) -> Tensor:
        return selected.sum(dim=(1, 2)) * images

    every = torch.ones_like(true)
    return Counts(
        images=located.long(),
        shared=cells(own & true, located),
        either=cells(own | true, located),
        compared_shared=cells(own & true, compared),
        compared_either=cells(own | true, compared),
        wrong_shared=cells(wrong & true, compared),
        wrong_either=cells(wrong | true, compared),
        wrong_drawn=cells(wrong, compared),
        wrong_cells=cells(every, compared),
        kept=cells(kept, halved),
        kept_drawn=cells(half & kept, halved),
        removed=cells(removed, halved),
        removed_drawn=cells(half & removed, halved),
        cells=cells(every, located),
        empty_drawn=cells(nothing, located),
    )


def make_task(parts: PretrainingParts) -> OdmTask:
    """The task of a run."""
    return OdmTask(parts.run.method, parts.characters, parts.run.transform, parts.augment)
