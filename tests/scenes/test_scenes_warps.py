from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetext.scenes.warps import STEEPEST, Pose, Warp, box_outline, pixel_box

poses = st.builds(
    Pose,
    yaw=st.floats(-0.9, 0.9),
    pitch=st.floats(-0.6, 0.6),
    roll=st.floats(-3.0, 3.0),
    focal=st.floats(400, 900),
    center=st.tuples(st.floats(100, 300), st.floats(100, 300)),
)
positions = st.tuples(st.floats(0, 400), st.floats(0, 400))


@given(poses, positions, st.floats(-1 / 150, 1 / 150))
@settings(deadline=None, max_examples=60)
def test_pixels_and_polygons_are_mapped_alike(pose: Pose, position: tuple[float, float], curvature: float) -> None:
    """The inverse that carries pixels, followed by the map that carries polygons, leads back to the pixel centres."""
    warp = Warp(pose.plane(position), curvature if abs(curvature) > 1e-4 else 0.0)
    outline = box_outline(np.array([-60.0, -15.0, 60.0, 15.0]), 9)
    box = pixel_box(warp.forward(outline), 1, (4000, 4000))
    if box[0] >= box[2] or box[1] >= box[3]:
        return
    u, v = warp.inverse_grid(box)
    x, y = np.meshgrid(np.arange(box[0], box[2]) + 0.5, np.arange(box[1], box[3]) + 0.5)
    near = (np.abs(u) < 70) & (np.abs(v) < 25)
    back = warp.forward(np.column_stack([u[near], v[near]]))
    assert np.abs(back - np.column_stack([x[near], y[near]])).max(initial=0) < 0.05


def test_a_plane_seen_from_the_front_is_not_changed() -> None:
    pose = Pose(0.0, 0.0, 0.0, 500.0, (100.0, 80.0))
    points = np.array([[0.0, 0.0], [30.0, -10.0]])
    np.testing.assert_allclose(Warp(pose.plane((40.0, 50.0))).forward(points), points + np.array([40, 50]))


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll", "point", "expected"),
    [
        (0.5, 0.0, 0.0, (50.0, 0.0), "right side farther: nearer to the middle than 50"),
        (0.0, 0.5, 0.0, (0.0, -50.0), "top farther: nearer to the middle than 50"),
    ],
)
def test_turning_foreshortens(yaw: float, pitch: float, roll: float, point: tuple[float, float], expected: str) -> None:
    matrix = Pose(yaw, pitch, roll, 300.0, (0.0, 0.0)).plane((0.0, 0.0))
    far, near = Warp(matrix).forward(np.array([point, (-point[0], -point[1])]))
    assert np.hypot(*far) < np.hypot(*near), expected
    assert np.hypot(*far) < 50 * np.cos(0.5), expected


def test_roll_is_clockwise() -> None:
    matrix = Pose(0.0, 0.0, np.pi / 2, 300.0, (0.0, 0.0)).plane((0.0, 0.0))
    np.testing.assert_allclose(Warp(matrix).forward(np.array([[10.0, 0.0]])), [[0.0, 10.0]], atol=1e-9)


def test_turning_stops_before_letters_become_slivers() -> None:
    pose = Pose(0.9, -0.9, 0.0, 300.0, (0.0, 0.0)).turned(yaw=1.0, pitch=-1.0, roll=2.0)
    assert (pose.yaw, pose.pitch, pose.roll) == (STEEPEST, -STEEPEST, 2.0)


def test_arch_bends_its_ends_down_and_keeps_lengths() -> None:
    radius = 100.0
    middle, end = Warp(np.eye(3), 1 / radius).forward(np.array([[0.0, 0.0], [radius * np.pi / 2, 0.0]]))
    np.testing.assert_allclose(middle, (0, 0), atol=1e-9)
    np.testing.assert_allclose(end, (radius, radius), atol=1e-9)
    smile = Warp(np.eye(3), -1 / radius).forward(np.array([[radius * np.pi / 2, 0.0]]))[0]
    np.testing.assert_allclose(smile, (radius, -radius), atol=1e-9)


def test_outline_runs_clockwise_from_the_top_left() -> None:
    outline = box_outline(np.array([0.0, 0.0, 6.0, 2.0]), 3)
    np.testing.assert_array_equal(outline, [[0, 0], [3, 0], [6, 0], [6, 2], [3, 2], [0, 2]])
