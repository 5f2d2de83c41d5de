"""Gives a sign its size and its position in the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenetext.scenes.boards import BoardPlan, plan_board
from scenetext.scenes.fonts import FontLibrary
from scenetext.scenes.lettering import Lettering, TextBlock, rasterise
from scenetext.scenes.occupancy import Occupancy
from scenetext.scenes.settings import SceneSettings
from scenetext.scenes.signs import SignPlan, curvature_of, word_polygons
from scenetext.scenes.warps import Pose, Warp, bounds, box_outline

POSITION_TRIES = 14
SIZE_TRIES = 4
FIT_TRIES = 3
SHRINK = 0.72
"""Factor on the size of a sign without a free position."""
LARGEST_EXTENT = 1.3
"""Longest side of a sign over the longest of the image, flat, before it is fitted: still in front of the camera."""
EXTENT_POINTS = 12
CALM = 16.0
"""Edge strength below which all positions count as equally calm; else everything would be painted on the sky."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedSign:
    """A sign with its position.

    Attributes:
        plan: what was asked for.
        lettering: at its final size.
        warp, board_warp: for the lettering, and for the flat board below it.
        board: around the lettering, on the plane of the sign, whether or not it will be drawn.
        polygons: image polygon of every word, (V, 2) float64.
        edge_strength: edge strength of the background there; see `Occupancy.edge_strength`.
    """

    plan: SignPlan
    lettering: Lettering
    warp: Warp
    board_warp: Warp
    board: BoardPlan
    polygons: list[np.ndarray]
    edge_strength: float

    def hull(self) -> np.ndarray:
        """(4, 2) image corners of the board, clockwise from its top left."""
        return self.board_warp.forward(self.board.corners())


@dataclass(frozen=True, slots=True, eq=False)
class Arranger:
    """Finds free positions for signs.

    Attributes:
        settings: of the scene.
        fonts: to draw with.
        pose: of the planes of the scene.
        size: (height, width) of the image.
        occupancy: which parts of the image are taken.
    """

    settings: SceneSettings
    fonts: FontLibrary
    pose: Pose
    size: tuple[int, int]
    occupancy: Occupancy

    def place(self, plan: SignPlan, factor: float, generator: np.random.Generator) -> PlacedSign | None:
        """The sign, its size multiplied by `factor`, at the best of some random positions; smaller if it does not fit.

        Returns None where no position is free.
        """
        pose = self.pose.turned(*plan.turn)
        block = plan.block.scaled(factor)
        has_symbol = plan.on_board and generator.random() < self.settings.surface.symbol_probability
        for _ in range(SIZE_TRIES):
            lettering, block = self._fitted(plan, block, pose)
            curvature = curvature_of(plan, lettering)
            board = _plan_board(lettering, curvature, has_symbol, generator)
            sign = self._best_position(plan, lettering, pose, curvature, board, generator)
            if sign is not None:
                return sign
            block = block.scaled(SHRINK)
        return None

    def _fitted(self, plan: SignPlan, block: TextBlock, pose: Pose) -> tuple[Lettering, TextBlock]:
        """The lettering, made smaller if it is too large for the image, and the block it was drawn from."""
        for _ in range(FIT_TRIES):
            lettering = rasterise(block, self.fonts)
            scale = self._fitting_scale(lettering, pose, curvature_of(plan, lettering))
            if scale >= 1:
                break
            block = block.scaled(scale)
        return lettering, block

    def _fitting_scale(self, lettering: Lettering, pose: Pose, curvature: float) -> float:
        """Factor, at most 1, by which the lettering fits into the image."""
        extent = lettering.extent()
        longest = max(extent[2] - extent[0], extent[3] - extent[1])
        scale = min(1.0, LARGEST_EXTENT * max(self.size) / longest)
        plane = pose.plane(pose.center)
        free = [side - 2 * self.settings.margin for side in self.size]
        for _ in range(6):
            outline = box_outline(extent * scale, EXTENT_POINTS)
            left, top, right, bottom = bounds(Warp(plane, curvature / scale).forward(outline))
            need = max((right - left) / free[1], (bottom - top) / free[0])
            if need <= 1:
                return scale
            scale *= 0.98 / need
        return scale

    def _best_position(
        self,
        plan: SignPlan,
        lettering: Lettering,
        pose: Pose,
        curvature: float,
        board: BoardPlan,
        generator: np.random.Generator,
    ) -> PlacedSign | None:
        """The calmest free position for a painted sign; for one on a board, that where most of the board shows."""
        outline = box_outline(lettering.extent(), EXTENT_POINTS)
        left, top, right, bottom = bounds(Warp(pose.plane(pose.center), curvature).forward(outline))
        margin = self.settings.margin
        first = np.array([pose.center[0] + margin - left, pose.center[1] + margin - top])
        last = np.array(
            [pose.center[0] + self.size[1] - margin - right, pose.center[1] + self.size[0] - margin - bottom]
        )
        # Random positions, and the middle, between those where the lettering touches the margins of opposite corners.
        spread = np.concatenate([generator.random((POSITION_TRIES, 2)), [[0.5, 0.5]]])
        best = None
        least = np.inf
        for x, y in first + spread * (last - first):
            plane = pose.plane((float(x), float(y)))
            warp, board_warp = Warp(plane, curvature), Warp(plane)
            hull = board_warp.forward(board.corners())
            polygons = word_polygons(lettering, warp, self.settings.layout.curve_points)
            if not self._shows(np.concatenate([warp.forward(outline), *polygons])):
                continue
            if not board_warp.is_in_front(board.corners()) or not self.occupancy.is_free(hull):
                continue
            edge_strength = self.occupancy.edge_strength(hull)
            score = 40 * self._share_outside(hull) if plan.on_board else max(edge_strength, CALM)
            score += generator.uniform(0, 8)
            if score < least:
                best, least = PlacedSign(plan, lettering, warp, board_warp, board, polygons, edge_strength), score
        return best

    def _shows(self, points: np.ndarray) -> bool:
        """Whether image points (N, 2) keep the margin from the border."""
        left, top, right, bottom = bounds(points)
        margin = self.settings.margin
        return left >= margin and top >= margin and right <= self.size[1] - margin and bottom <= self.size[0] - margin

    def _share_outside(self, hull: np.ndarray) -> float:
        """How far a hull (V, 2) reaches out of the image, over its size, from 0."""
        left, top, right, bottom = bounds(hull)
        across = max(0.0, -left) + max(0.0, right - self.size[1])
        along = max(0.0, -top) + max(0.0, bottom - self.size[0])
        return across / (right - left) + along / (bottom - top)


def _plan_board(lettering: Lettering, curvature: float, has_symbol: bool, generator: np.random.Generator) -> BoardPlan:
    """A board around the lettering as it is after bending."""
    straight = lettering.extent()
    bent = bounds(Warp(np.eye(3), curvature).forward(box_outline(straight, EXTENT_POINTS)))
    heights = lettering.boxes[:, 3] - lettering.boxes[:, 1]
    return plan_board(np.array(bent), float(heights.max()), has_symbol, generator)
