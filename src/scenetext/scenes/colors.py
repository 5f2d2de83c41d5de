"""Colours of signs: those of the background image, and usual ones of boards.

Colours are float32 RGB in 0..255.
"""

from __future__ import annotations

import numpy as np

from scenetext.data.transforms.contrast import PLAIN_COLORS

SIGN_COLORS = (
    ((0, 92, 58), (245, 245, 240)),
    ((10, 70, 150), (248, 248, 245)),
    ((24, 42, 92), (236, 196, 92)),
    ((190, 26, 36), (250, 248, 240)),
    ((150, 20, 32), (244, 224, 170)),
    ((246, 200, 28), (18, 18, 18)),
    ((240, 238, 230), (20, 20, 24)),
    ((244, 243, 238), (184, 24, 34)),
    ((242, 242, 240), (16, 66, 146)),
    ((238, 240, 232), (10, 96, 60)),
    ((22, 22, 25), (240, 240, 236)),
    ((28, 26, 24), (222, 180, 84)),
    ((92, 60, 36), (238, 222, 188)),
    ((36, 62, 44), (226, 206, 150)),
    ((236, 224, 196), (92, 52, 28)),
    ((228, 108, 26), (252, 250, 246)),
    ((228, 116, 30), (20, 20, 20)),
    ((178, 180, 182), (24, 26, 30)),
    ((64, 70, 78), (242, 242, 242)),
    ((16, 116, 124), (246, 248, 246)),
    ((110, 36, 70), (246, 232, 226)),
    ((236, 168, 176), (96, 28, 52)),
    ((140, 196, 214), (18, 44, 84)),
    ((108, 158, 66), (250, 250, 240)),
)
"""Pairs of a board and its lettering."""
PALETTE_SIZE = 12


def palette(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Colours (PALETTE_SIZE, 3) that occur in an image (H, W, 3), half of them made more vivid, as paints are."""
    rows = generator.integers(image.shape[0], size=PALETTE_SIZE)
    columns = generator.integers(image.shape[1], size=PALETTE_SIZE)
    sampled = image[rows, columns].astype(np.float32)
    grey = sampled.mean(axis=1, keepdims=True)
    vivid = np.where(np.arange(PALETTE_SIZE)[:, None] % 2 == 0, np.float32(1), np.float32(1.8))
    return np.clip(grey + (sampled - grey) * vivid, 0, 255)


def vary(color: np.ndarray, generator: np.random.Generator, amount: float = 9.0) -> np.ndarray:
    """A colour near another: brightness and every channel moved by about `amount` levels."""
    moved = np.asarray(color, dtype=np.float32) + generator.normal(0, amount) + generator.normal(0, amount / 2, 3)
    return np.clip(moved, 4, 252).astype(np.float32)


def choose_board(scene_colors: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colour of a board and of the letters meant for it: sign colours mostly, else a board in a colour of the scene."""
    board, letters = SIGN_COLORS[generator.integers(len(SIGN_COLORS))]
    if generator.random() < 0.2:
        board = scene_colors[generator.integers(len(scene_colors))]
        letters = PLAIN_COLORS[generator.integers(len(PLAIN_COLORS))]
    return vary(np.asarray(board), generator), vary(np.asarray(letters), generator)
