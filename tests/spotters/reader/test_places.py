"""Where words are read: sides in reading direction, whichever way the text lies."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from scenetext.geometry.polygon import transform_polygon
from scenetext.spotters.reader.config import JitterSettings, ReaderSettings
from scenetext.spotters.reader.model import straightened
from scenetext.spotters.reader.places import POINTS, annotated_place, detected_places, jittered, rectangle_place

WORD = np.array([(20, 30), (100, 30), (100, 50), (20, 50)], np.float32)
EXACT = ReaderSettings(growth=0)
STILL = JitterSettings(width=(1, 1), height=(1, 1), centre=0, angle=0, corners=0)


def turned(polygon: np.ndarray, degrees: float) -> np.ndarray:
    """About the middle of a square of 128 pixels."""
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((64, 64), -degrees, 1)
    return transform_polygon(polygon, matrix)


def corners(place: np.ndarray) -> np.ndarray:
    return np.array([place[0, 0], place[0, -1], place[1, -1], place[1, 0]])


@pytest.mark.parametrize("degrees", [0, 20, 90, 170, 180, 270])
def test_annotated_places_follow_the_order_of_the_vertices(degrees: float) -> None:
    polygon = turned(WORD, degrees)
    place = annotated_place(polygon)
    assert place is not None
    assert place.shape == (2, POINTS, 2)
    assert np.allclose(corners(place), polygon, atol=1e-3)


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("degrees", [-40, 0, 30])
def test_detected_places_read_to_the_right_whatever_the_order(start: int, step: int, degrees: float) -> None:
    polygon = turned(WORD, degrees)
    (place,) = detected_places(np.roll(polygon, start, axis=0)[::step], EXACT)
    assert np.allclose(corners(place), polygon, atol=0.05)


def test_upright_places_are_read_in_three_directions() -> None:
    upright = turned(WORD, 90)
    places = detected_places(upright, EXACT)
    assert len(places) == 3
    starts = [corners(place)[0].tolist() for place in places]
    down, up = upright[0].tolist(), turned(WORD, 270)[0].tolist()
    assert any(np.allclose(start, down, atol=0.1) for start in starts)
    assert len({tuple(np.round(start).tolist()) for start in starts}) == 3
    assert len(up) == 2
    assert len(detected_places(np.array([(0, 0), (20, 0), (20, 28), (0, 28)], np.float32), EXACT)) == 1


def test_growth_adds_a_share_of_the_height_to_every_side() -> None:
    (place,) = detected_places(WORD, ReaderSettings(growth=0.1))
    assert np.allclose(corners(place), [(18, 28), (102, 28), (102, 52), (18, 52)], atol=0.05)


@pytest.mark.parametrize(
    "polygon",
    [
        pytest.param(np.zeros((4, 2), np.float32), id="a point"),
        pytest.param(np.array([(0, 0), (10, 0), (20, 0)], np.float32), id="a line"),
    ],
)
def test_without_an_extent_there_is_nothing_to_read(polygon: np.ndarray) -> None:
    assert detected_places(polygon, EXACT) == []
    assert annotated_place(polygon) is None


def test_triangles_and_odd_polygons_have_a_place() -> None:
    assert annotated_place(np.array([(0, 0), (40, 0), (20, 20)], np.float32)) is not None
    assert annotated_place(np.array([(0, 0), (20, -4), (40, 0), (40, 20), (0, 20)], np.float32)) is not None


def test_rectangles_of_curved_places_keep_their_direction() -> None:
    angles = np.linspace(np.pi, 2 * np.pi, POINTS)
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    place = np.stack([60 + 50 * arc, 60 + 30 * arc]).astype(np.float32)
    box = rectangle_place(place)
    assert box is not None
    assert box[0, 0, 0] < box[0, -1, 0]
    assert box[0, :, 1].max() < box[1, :, 1].min()


def test_jitter_of_nothing_is_the_place_itself_and_follows_the_seed() -> None:
    place = torch.from_numpy(annotated_place(turned(WORD, 30)))
    same = jittered(place, STILL, torch.Generator().manual_seed(0))
    assert torch.allclose(same, place, atol=1e-3)
    one, again, other = (jittered(place, JitterSettings(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other, atol=0.1)
    twice = jittered(place, STILL.model_copy(update={"width": (2, 2)}), torch.Generator())
    assert (twice[0, -1] - twice[0, 0]).norm() == pytest.approx(
        2 * float((place[0, -1] - place[0, 0]).norm()), rel=1e-4
    )


@pytest.mark.parametrize("degrees", [0, 35, 90, 180])
def test_a_word_looks_the_same_from_wherever_it_is_cut(degrees: float) -> None:
    """Drawn straight, and turned with its polygon: not mirrored, not upside down."""
    image = np.full((128, 128, 3), 90, np.uint8)
    cv2.putText(image, "Fp7", (24, 48), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (240, 250, 255), 2)
    matrix = cv2.getRotationMatrix2D((63.5, 63.5), -degrees, 1)
    rotated = cv2.warpAffine(image, matrix, (128, 128), flags=cv2.INTER_LINEAR, borderValue=(90, 90, 90))
    straight, word = (
        straightened(
            torch.from_numpy(each).permute(2, 0, 1)[None].float() / 255,
            torch.zeros(1, dtype=torch.int64),
            torch.from_numpy(annotated_place(turned(WORD, angle)))[None],
            (32, 128),
        )[0]
        for each, angle in ((image, 0), (rotated, degrees))
    )
    agreement = torch.corrcoef(torch.stack([straight.flatten(), word.flatten()]))[0, 1]
    assert agreement > 0.95
    assert torch.corrcoef(torch.stack([straight.flatten(), word.flip(2).flatten()]))[0, 1] < 0.8
    assert straight.mean().abs() < 1e-5
