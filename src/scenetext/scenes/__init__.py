"""Scene-text images with word polygons, made from words, fonts and backgrounds; nothing is downloaded.

A scene is a background with signs on it (`signs`: words and typesetting; `lettering`: their masks; `arrangement`,
`occupancy`: size and position; `painting`, `boards`, `composition`: paint, light and shadow), seen by a camera
(`warps`, `camera`).
"""

from scenetext.scenes.generator import SceneGenerator
from scenetext.scenes.settings import SceneSettings

__all__ = ["SceneGenerator", "SceneSettings"]
