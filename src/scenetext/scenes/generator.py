"""One scene from its number: background, signs, camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenetext.data.records.images import encode_image
from scenetext.data.transforms import camera
from scenetext.errors import DataError
from scenetext.scenes import backgrounds, colors, signs
from scenetext.scenes.arrangement import SHRINK, Arranger
from scenetext.scenes.composition import Picture
from scenetext.scenes.fonts import FontLibrary
from scenetext.scenes.occupancy import Occupancy
from scenetext.scenes.painting import paint_sign
from scenetext.scenes.settings import SceneSettings
from scenetext.scenes.warps import Pose
from scenetext.scenes.words import CASES, WordSource, set_case
from scenetext.structures import TextInstance

MOST_FAILURES = 5
"""Signs without a free position before an image counts as full."""
FOCAL = 1.3
"""Focal length over the longer side of the image: a phone's camera, zoomed a little."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedScene:
    """A scene as it is stored: the bytes of an image file, its width and height in pixels, and its words."""

    data: bytes
    width: int
    height: int
    instances: tuple[TextInstance, ...]


class SceneGenerator:
    """Makes scene-text images; scene i depends on nothing but the arguments and i.

    Cheap to send to another process.

    Args:
        settings: what scenes look like.
        seed: of everything random, together with the number of the scene.
        fonts: to write with.
        words: word list; words that none of the fonts can write are dropped (see `unwritable`).
        backgrounds: image files; empty = procedural backgrounds.

    Attributes:
        unwritable: listed words that no font can write.

    Raises:
        DataError: nothing to write remains, or a negative seed.
    """

    def __init__(
        self,
        settings: SceneSettings,
        seed: int,
        fonts: FontLibrary,
        words: Sequence[str],
        backgrounds: Sequence[Path] = (),
    ) -> None:
        if seed < 0:
            raise DataError(f"the seed must be 0 or more, got {seed}")
        self.settings = settings
        self.seed = seed
        self.fonts = fonts
        self.backgrounds = tuple(backgrounds)
        can_write = {word: _is_writable(word, fonts) for word in words}
        writable = tuple(word for word in words if can_write[word])
        self.unwritable = tuple(word for word in words if not can_write[word])
        if words and not writable:
            raise DataError(f"no font can write any of the {len(words)} words, for one {words[0]!r}; name other fonts")
        self._source = WordSource(settings.text, writable)

    def scene(self, index: int) -> tuple[np.ndarray, tuple[TextInstance, ...]]:
        """Scene number `index`: the image (H, W, 3) uint8 RGB, as it is after compression, and its words.

        Polygons are (V, 2) float32 image pixels, clockwise from the top left of the word: 4 points, or
        2 * `curve_points` along a curve. Characters are annotated, in words of ASCII.

        Raises:
            ImageError: a background cannot be decoded.
            DataError: no font can write what is drawn from the word list or the random characters.
        """
        encoded = self.encoded_scene(index)
        return camera.decompress(encoded.data), encoded.instances

    def encoded_scene(self, index: int) -> EncodedScene:
        """As `scene`, with the image as a JPEG file; `generate` writes it, so that nothing is compressed twice."""
        generator = np.random.default_rng(np.random.SeedSequence([self.seed, index]))
        picture, words = self._compose(generator)
        image = camera.capture(picture.image, self.settings.camera, generator)
        data = camera.compress(image, self.settings.camera, generator)
        return EncodedScene(data, image.shape[1], image.shape[0], self._instances(words))

    def encoded_layer(self, index: int) -> EncodedScene:
        """The letters of scene number `index`, to be pasted on other images: a PNG file with four channels.

        The colours are those of the finished scene before the camera; the fourth channel says how much of every pixel
        is paint of letters, 0 to 255. Boards, shadows and posts are in the colours alone.
        """
        generator = np.random.default_rng(np.random.SeedSequence([self.seed, index]))
        picture, words = self._compose(generator)
        channels = np.dstack([picture.image, 255 * picture.coverage])
        layer = np.clip(np.rint(channels), 0, 255).astype(np.uint8)
        data = encode_image(layer, Path("layer.png"))
        return EncodedScene(data, layer.shape[1], layer.shape[0], self._instances(words))

    def _compose(
        self, generator: np.random.Generator
    ) -> tuple[Picture, list[tuple[str, np.ndarray, np.ndarray | None]]]:
        """The finished scene before the camera, and (text, polygon, quadrangles of characters) of every word."""
        settings = self.settings
        height = int(generator.integers(*settings.height, endpoint=True))
        width = int(generator.integers(*settings.width, endpoint=True))
        pose = self._sample_pose((height, width), generator)
        picture = Picture(self._sample_background((height, width), pose, generator))
        arranger = Arranger(settings, self.fonts, pose, picture.size, Occupancy(picture.image))
        scene_colors = colors.palette(picture.image / picture.background.white, generator)
        shadow_direction = (generator.uniform(-0.9, 0.9), generator.uniform(0.3, 1.0))
        wanted = int(generator.integers(*settings.words, endpoint=True))
        words: list[tuple[str, np.ndarray, np.ndarray | None]] = []
        failures = 0
        while len(words) < wanted and failures < MOST_FAILURES:
            plan = signs.sample_sign(settings, self._source, self.fonts, wanted - len(words), generator)
            sign = arranger.place(plan, SHRINK**failures, generator)
            if sign is None:
                failures += 1
                continue
            paint_sign(picture, arranger.occupancy, sign, scene_colors, shadow_direction, settings, generator)
            characters = signs.character_quads(sign.lettering, sign.warp)
            words += zip(sign.lettering.texts, sign.polygons, characters, strict=True)
        return picture, words

    def _sample_pose(self, size: tuple[int, int], generator: np.random.Generator) -> Pose:
        turn = self.settings.layout.perspective * signs.LARGEST_TURN
        return Pose(
            yaw=turn * generator.triangular(-1, 0, 1),
            pitch=0.45 * turn * generator.triangular(-1, 0, 1),
            roll=0.4 * signs.sample_rotation(self.settings, generator),
            focal=FOCAL * max(size),
            center=(size[1] / 2, size[0] / 2),
        )

    def _sample_background(
        self, size: tuple[int, int], pose: Pose, generator: np.random.Generator
    ) -> backgrounds.Background:
        surface = self.settings.surface
        if self.backgrounds and generator.random() < surface.photograph_share:
            return backgrounds.from_image(self.backgrounds, size, generator)
        return backgrounds.procedural(size, pose, surface.facade_probability, generator)

    def _instances(self, words: Sequence[tuple[str, np.ndarray, np.ndarray | None]]) -> tuple[TextInstance, ...]:
        """The words with polygons and characters; those too low to be read are ignored."""
        return tuple(
            TextInstance(
                polygon.astype(np.float32),
                text,
                word_height(polygon) < self.settings.ignore_height,
                characters=None if characters is None else characters.astype(np.float32),
            )
            for text, polygon, characters in words
        )


def word_height(polygon: np.ndarray) -> float:
    """Mean distance, pixels, between the upper points of a word polygon (2 k, 2) and the lower ones below them."""
    half = len(polygon) // 2
    return float(np.hypot(*(polygon[:half] - polygon[half:][::-1]).T).mean())


def _is_writable(word: str, fonts: FontLibrary) -> bool:
    """Whether one font can write the word in every case."""
    text = "".join({set_case(word, case) for case in CASES})
    return any(fonts.supports(number, text) for number in range(len(fonts)))
