"""A light reader for any detector: words are cut from the image, straightened, and read by a small CTC network.

Connectionist temporal classification: Graves et al., ICML 2006; for scene text: CRNN (Shi et al., TPAMI 2017).
"""

from scenetext.spotters.reader.config import ReaderSettings
from scenetext.spotters.reader.stage import with_reader

__all__ = ["ReaderSettings", "with_reader"]
