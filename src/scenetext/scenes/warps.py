"""From the flat plane that a sign is drawn on to the image: bent along an arc, seen by a camera.

One `Warp` maps both pixels (through its inverse) and polygons (forward), so they always agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

STEEPEST = np.radians(60)
"""Largest yaw and pitch; beyond, letters are too narrow to read."""
NEAREST_DEPTH = 0.2
"""Points are kept at least this share of the focal length in front of the camera."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How the planes of a scene are turned towards a pinhole camera; parallel planes share their vanishing points.

    Attributes:
        yaw, pitch, roll: radians; yaw turns the right side away, pitch the top, roll clockwise in the image.
        focal: focal length, pixels.
        center: (x, y) pixel that the camera points at.
    """

    yaw: float
    pitch: float
    roll: float
    focal: float
    center: tuple[float, float]

    def turned(self, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Pose:
        """The pose of a plane turned further by these angles, radians, but never past STEEPEST."""
        yaw, pitch = np.clip((self.yaw + yaw, self.pitch + pitch), -STEEPEST, STEEPEST)
        return replace(self, yaw=float(yaw), pitch=float(pitch), roll=self.roll + roll)

    def plane(self, position: tuple[float, float]) -> np.ndarray:
        """(3, 3) float64 matrix from flat pixels to image pixels.

        Args:
            position: (x, y) image pixel at which the flat origin is seen. One flat pixel is about one image pixel
                there, before foreshortening.
        """
        sin_yaw, cos_yaw = np.sin(self.yaw), np.cos(self.yaw)
        sin_pitch, cos_pitch = np.sin(self.pitch), np.cos(self.pitch)
        sin_roll, cos_roll = np.sin(self.roll), np.cos(self.roll)
        turn = np.array([[cos_roll, -sin_roll, 0], [sin_roll, cos_roll, 0], [0, 0, 1]])
        tilt = np.array([[1, 0, 0], [0, cos_pitch, sin_pitch], [0, -sin_pitch, cos_pitch]])
        swing = np.array([[cos_yaw, 0, -sin_yaw], [0, 1, 0], [sin_yaw, 0, cos_yaw]])
        axes = turn @ tilt @ swing
        origin = np.array([position[0] - self.center[0], position[1] - self.center[1], self.focal])
        camera = np.array([[self.focal, 0, self.center[0]], [0, self.focal, self.center[1]], [0, 0, 1]])
        return camera @ np.column_stack([axes[:, 0], axes[:, 1], origin])


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """Flat pixels (u right, v down, origin at the middle of the sign) to image pixels.

    Attributes:
        matrix: (3, 3) float64, applied after bending.
        curvature: 1 / radius of the arc that the line v = 0 is bent to, 1 / flat pixels; positive = ends bent down
            (an arch), 0 = straight.
    """

    matrix: np.ndarray
    curvature: float = 0.0

    def forward(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) flat points to (N, 2) float64 image points."""
        flat = np.asarray(points, dtype=np.float64)
        if self.curvature:
            # A point at height v moves to the circle of radius r - v, by the angle u / r.
            radius = 1 / self.curvature
            angle, distance = flat[:, 0] / radius, radius - flat[:, 1]
            flat = np.column_stack([distance * np.sin(angle), radius - distance * np.cos(angle)])
        image = flat @ self.matrix[:, :2].T + self.matrix[:, 2]
        return image[:, :2] / image[:, 2:]

    def is_in_front(self, points: np.ndarray) -> bool:
        """Whether all flat points (N, 2) lie at least NEAREST_DEPTH in front of the camera."""
        straight = Warp(np.eye(3), self.curvature).forward(points)
        depth = straight @ self.matrix[2, :2] + self.matrix[2, 2]
        return bool((depth >= NEAREST_DEPTH * self.matrix[2, 2]).all())

    def inverse_grid(self, box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Flat u and v, (h, w) float32 each, of the pixel centres of an image box (left, top, right, bottom)."""
        left, top, right, bottom = box
        inverse = np.linalg.inv(self.matrix)
        inverse = (inverse / inverse[2, 2]).astype(np.float32)
        x = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5)
        y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5)
        weight = (inverse[2, 0] * x + inverse[2, 2]) + inverse[2, 1] * y
        u = ((inverse[0, 0] * x + inverse[0, 2]) + inverse[0, 1] * y) / weight
        v = ((inverse[1, 0] * x + inverse[1, 2]) + inverse[1, 1] * y) / weight
        if self.curvature:
            radius = np.float32(1 / self.curvature)
            down, sign = radius - v, np.sign(radius)
            distance = sign * np.hypot(u, down)
            u, v = radius * np.arctan2(sign * u, sign * down), radius - distance
        return u, v


def box_outline(box: np.ndarray, points_per_side: int) -> np.ndarray:
    """Polygon of a flat box (left, top, right, bottom): (2 * points_per_side, 2), along the top, back along the bottom.

    This is the order of Total-Text: clockwise in the image from the top-left corner in the direction of reading.
    """
    left, top, right, bottom = box
    along = np.linspace(left, right, points_per_side)
    upper = np.column_stack([along, np.full_like(along, top)])
    lower = np.column_stack([along[::-1], np.full_like(along, bottom)])
    return np.concatenate([upper, lower])


def bounds(points: np.ndarray) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of points (N, 2)."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def pixel_box(points: np.ndarray, pad: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Whole pixels around points (N, 2), grown by `pad` and cut to an image of size (height, width)."""
    left, top, right, bottom = bounds(points)
    return (
        max(0, int(np.floor(left)) - pad),
        max(0, int(np.floor(top)) - pad),
        min(size[1], int(np.ceil(right)) + pad),
        min(size[0], int(np.ceil(bottom)) + pad),
    )
