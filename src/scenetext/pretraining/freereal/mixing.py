"""Intra-domain mixing: a box of one unlabelled image over another, pixels and pseudo labels (A^T in the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scenetext.data.transforms.crops import bounds, contained, cut_counts
from scenetext.geometry.polygon import clip_polygon, polygon_area
from scenetext.pretraining.freereal.config import PartnerSettings
from scenetext.pretraining.freereal.pseudo_labels import LEAST_AREA, after_cover
from scenetext.structures import Sample, TextInstance


def mix_with_partners(
    samples: Sequence[Sample], settings: PartnerSettings, generator: np.random.Generator
) -> list[Sample]:
    """Every image with, at the probability of the settings, a box of another one.

    A random order of the images, closed to a circle, says whose; a single image has no partner.
    """
    count = len(samples)
    order = generator.permutation(count)
    mixed = list(samples)
    for index, partner in zip(order, np.roll(order, 1), strict=True):
        if count == 1 or generator.random() >= settings.probability:
            continue
        own, other = samples[index], samples[partner]
        mixed[index] = mix_box(own, other, choose_box(own, other, settings, generator))
    return mixed


def choose_box(own: Sample, partner: Sample, settings: PartnerSettings, generator: np.random.Generator) -> np.ndarray:
    """(left, top, right, bottom) in whole pixels: see `PartnerSettings.candidates`."""
    size = np.array(own.image.shape[1::-1])
    sides = np.maximum(np.rint(generator.uniform(*settings.side, size=(settings.candidates, 2)) * size), 1)
    corners = np.floor(generator.random((settings.candidates, 2)) * (size - sides + 1))
    boxes = np.hstack([corners, corners + sides]).astype(np.int64)
    texts, areas = _boxes_of(partner.instances)
    cuts = cut_counts(_boxes_of(own.instances)[0], boxes) + cut_counts(texts, boxes)
    brought = contained(texts, boxes) @ areas
    best: np.ndarray = boxes[np.lexsort((-brought, cuts))[0]]
    return best


def mix_box(own: Sample, partner: Sample, box: np.ndarray) -> Sample:
    """The first image with the pixels and the texts of the second inside a box; texts that it cuts are ignored."""
    left, top, right, bottom = box.tolist()
    image = own.image.copy()
    image[top:bottom, left:right] = partner.image[top:bottom, left:right]
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)
    kept = [part for instance in own.instances for part in after_cover(instance, [corners])]
    brought = [part for instance in partner.instances if (part := _inside(instance, box)) is not None]
    return replace(own, image=image, instances=(*kept, *brought))


def _inside(instance: TextInstance, box: np.ndarray) -> TextInstance | None:
    """The instance where it is inside the box, or its part there, which is ignored; None where it is outside."""
    if instance.polygon is None:
        return None
    if contained(bounds(instance.polygon)[None], box[None]).item():
        return instance
    corner = box[:2].astype(np.float32)
    width, height = (box[2:] - box[:2]).tolist()
    part = clip_polygon(instance.polygon - corner, width, height)
    if part is None or polygon_area(part) < LEAST_AREA:
        return None
    return replace(instance, polygon=part + corner, ignore=True, characters=None)


def _boxes_of(instances: Sequence[TextInstance]) -> tuple[np.ndarray, np.ndarray]:
    """(K, 4) boxes and (K,) areas of the polygons."""
    polygons = [instance.polygon for instance in instances if instance.polygon is not None]
    boxes = np.array([bounds(polygon) for polygon in polygons], dtype=np.float64).reshape(-1, 4)
    return boxes, np.array([polygon_area(polygon) for polygon in polygons], dtype=np.float64)
