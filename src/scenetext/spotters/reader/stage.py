"""Any detector with the light reader as its last stage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from scenetext.contracts import DetectorSpec, Maps, Proposals, Stage, Targets
from scenetext.layers.stages import of_stage
from scenetext.recognition.recognizer import Recognizer
from scenetext.spotters.reader.config import ReaderSettings
from scenetext.spotters.reader.model import WordReader
from scenetext.spotters.reader.places import POINTS, annotated_place, detected_places, jittered, rectangle_place
from scenetext.structures import Detection, Sample, TextInstance
from scenetext.text.charset import CharacterSet

STAGE = "reading"
"""Name of the stage, of its module in the head's `later`, and of its loss term."""
_STRAIGHT = 0.05
"""A side that leaves the line between its ends by less than this share of its length is straight."""


def with_reader(spec: DetectorSpec, settings: ReaderSettings, alphabet: CharacterSet) -> DetectorSpec:
    """The detector, and what it finds read.

    In training the reader looks at annotated places, moved at random, so nothing is decoded; the detector gets no
    gradient from it. In evaluation it looks at what the detector decodes.

    Args:
        alphabet: the characters that are read.
    """
    reading = Reading(spec, settings, alphabet)
    return replace(
        spec,
        head=reading.head,
        targets=reading.targets,
        loss=reading.loss,
        decode=reading.decode,
        stages=(*spec.stages, Stage(STAGE, reading.propose)),
        unread=reading.unread,
        added_loss_weights={**spec.added_loss_weights, STAGE: settings.loss_weight},
        learns=STAGE if settings.freeze_detector else None,
    )


@dataclass(frozen=True)
class Reading:
    """The parts of a `DetectorSpec` that reading changes; can be sent to other processes.

    Attributes:
        spec: the detector alone.
        settings, alphabet: of the reader.
    """

    spec: DetectorSpec
    settings: ReaderSettings
    alphabet: CharacterSet

    @property
    def recognizer(self) -> Recognizer:
        """What the reader learns from and what it reads."""
        return self.settings.recognizer(self.alphabet)

    def unread(self, instance: TextInstance, config: Any) -> str | None:
        """Why a text is not learnt to be read; None = it is."""
        return self.settings.readable(self.alphabet).why_unread(instance)

    def head(self, config: Any, channels: tuple[int, ...]) -> nn.Module:
        """The detector's head, with the reader among its later modules."""
        head = self.spec.head(config, channels)
        later = getattr(head, "later", None) or nn.ModuleDict()
        later[STAGE] = WordReader(self.settings, len(self.alphabet))
        head.later = later
        return head

    def targets(self, sample: Sample, config: Any) -> dict[str, np.ndarray]:
        """The detector's targets, and where words are, and what they are.

        Returns:
            Besides the detector's, where it learns: reading_place (N, 2, S, 2) float32, sides in pixels; reading_ids
            (N, L) int64, padded with 0; reading_length (N,) int64. Only of texts that are known, in the alphabet and
            not too long.
        """
        places, words = [], []
        readable = self.settings.readable(self.alphabet)
        for instance in sample.instances:
            if instance.ignore or instance.polygon is None:
                continue
            ids = readable.ids(instance.text)
            place = annotated_place(instance.polygon)
            if place is not None and ids is not None:
                places.append(place)
                words.append(ids)
        padded = np.zeros((len(words), max(map(len, words), default=1)), np.int64)
        for row, ids in zip(padded, words, strict=True):
            row[: len(ids)] = ids
        return {
            **({} if self.settings.freeze_detector else self.spec.targets(sample, config)),
            f"{STAGE}_place": np.array(places, np.float32).reshape(-1, 2, POINTS, 2),
            f"{STAGE}_ids": padded,
            f"{STAGE}_length": np.array([len(ids) for ids in words], np.int64),
        }

    def propose(self, maps: Maps, targets: Targets | None, config: Any, generator: Generator) -> Proposals:
        """Places to read: in training annotated ones, moved; in evaluation those of the detections."""
        if targets is None:
            return self._detected(maps, config)
        known = targets[f"{STAGE}_length"] > 0
        places = [self._learnt(place, generator) for place in targets[f"{STAGE}_place"][known].cpu()]
        return {
            "place": torch.stack(places) if places else torch.zeros(0, 2, POINTS, 2),
            **self.recognizer.targets(targets[f"{STAGE}_ids"][known], targets[f"{STAGE}_length"][known]),
        }

    def loss(self, maps: Maps, targets: Targets, config: Any) -> dict[str, Tensor]:
        """The detector's terms, where it learns, and that of the reader."""
        detecting = {} if self.settings.freeze_detector else self.spec.loss(maps, targets, config)
        return {**detecting, STAGE: self.recognizer.loss(of_stage(maps, STAGE), maps[f"{STAGE}.valid"])}

    def decode(self, maps: Maps, config: Any) -> list[list[Detection]]:
        """What was detected, with what is read there; of several directions the one of the best text score."""
        keys = ("valid", "detection", "polygon", "points", "score", *self.recognizer.outputs)
        arrays = {key: maps[f"{STAGE}.{key}"].detach().float().cpu().numpy() for key in keys}
        return [
            self._read({key: values[index][arrays["valid"][index] > 0] for key, values in arrays.items()})
            for index in range(len(arrays["valid"]))
        ]

    def _learnt(self, place: Tensor, generator: Generator) -> Tensor:
        share = torch.rand((), generator=generator).item()
        if share < self.settings.jitter.rectangle_share and _is_curved(place.numpy()):
            straight = rectangle_place(place.numpy())
            place = place if straight is None else torch.from_numpy(straight)
        return jittered(place, self.settings.jitter, generator)

    def _detected(self, maps: Maps, config: Any) -> Proposals:
        """The places of the detections of one image, with all that is known of these."""
        (found,) = self.spec.decode({name: value[None] for name, value in maps.items()}, config)
        places = [
            (index, place) for index, one in enumerate(found) for place in detected_places(one.polygon, self.settings)
        ]
        longest = max((len(one.polygon) for one in found), default=3)
        polygons = np.zeros((len(places), longest, 2), np.float32)
        for row, (index, _) in zip(polygons, places, strict=True):
            row[: len(found[index].polygon)] = found[index].polygon
        return {
            "place": torch.from_numpy(np.array([place for _, place in places], np.float32).reshape(-1, 2, POINTS, 2)),
            "detection": torch.tensor([index for index, _ in places], dtype=torch.int64),
            "polygon": torch.from_numpy(polygons),
            "points": torch.tensor([len(found[index].polygon) for index, _ in places], dtype=torch.int64),
            "score": torch.tensor([found[index].score for index, _ in places], dtype=torch.float32),
        }

    def _read(self, places: dict[str, np.ndarray]) -> list[Detection]:
        """The detections of one image, from the places that were read."""
        recognizer = self.recognizer
        best: dict[int, Detection] = {}
        for row, index in enumerate(places["detection"].astype(int).tolist()):
            reading = recognizer.read({name: places[name][row] for name in recognizer.outputs})
            found = Detection(
                places["polygon"][row, : int(places["points"][row])],
                float(places["score"][row]),
                "".join(map(self.alphabet.decode, reading.ids)),
                reading.score,
                reading.probabilities,
            )
            if index not in best or _certainty(found) > _certainty(best[index]):
                best[index] = found
        return list(best.values())


def _certainty(detection: Detection) -> tuple[bool, float]:
    """What decides between directions: any text is better than none."""
    return bool(detection.text), detection.text_score or 0.0


def _is_curved(place: np.ndarray) -> bool:
    """Whether the sides of a place leave the lines between their ends."""
    for side in place:
        along = side[-1] - side[0]
        length = max(float(np.linalg.norm(along)), 1e-6)
        away = side - side[0]
        if np.abs(away[:, 0] * along[1] - away[:, 1] * along[0]).max() > _STRAIGHT * length**2:
            return True
    return False
