"""RapidOCR (the PP-OCR models on ONNX Runtime), whose models are inside its package: nothing is downloaded.

    pip install scenetext[acquisition]

`python -m scenetext.acquisition.rapidocr_engine` is the engine as a command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from scenetext.acquisition.engine import OcrText, serve
from scenetext.data.records.images import read_image
from scenetext.errors import EngineError

MODULE = "scenetext.acquisition.rapidocr_engine"
_PACKAGE = "rapidocr"
_MISSING = "the package rapidocr is not installed: pip install scenetext[acquisition], or give an engine as a command"


def rapidocr_version() -> str:
    """The version of the installed package.

    Raises:
        EngineError: it is not installed.
    """
    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        raise EngineError(_MISSING) from None


class RapidOcrEngine:
    """The engine with its default models and settings, except that no text is dropped for its low confidence.

    It sees the stored pixels, without EXIF rotation, as everything else here does.

    Args:
        word_boxes: words with a polygon each, which the engine estimates, and a confidence of their own, instead of
            lines as they are detected. Chinese comes as single characters then.
        threads: of ONNX Runtime; images are read in parallel by several engines instead.

    Raises:
        EngineError: the package is not installed.
    """

    def __init__(self, word_boxes: bool = False, threads: int = 1) -> None:
        try:
            from rapidocr import RapidOCR
        except ImportError as error:
            raise EngineError(f"{_MISSING} ({error})") from None
        runtime = "EngineConfig.onnxruntime"
        self._engine = RapidOCR(
            params={
                "Global.log_level": "error",
                f"{runtime}.intra_op_num_threads": threads,
                f"{runtime}.inter_op_num_threads": threads,
            }
        )
        self._word_boxes = word_boxes

    def recognize(self, image: Path) -> list[OcrText]:
        """The texts of an image, from top to bottom.

        Raises:
            ImageError: the file is not a whole image.
            EngineError: the engine fails on it.
        """
        pixels = np.ascontiguousarray(read_image(image)[..., ::-1])
        try:
            result = self._engine(pixels, text_score=0.0, return_word_box=self._word_boxes)
        except Exception as error:  # external code: any error costs this image, not the run
            raise EngineError(f"{image}: rapidocr fails: {type(error).__name__}: {error}") from error
        return [_ocr_text(*read) for read in _texts(result, self._word_boxes)]

    def close(self) -> None:
        """Nothing to end."""


def _texts(result: Any, word_boxes: bool) -> Iterable[tuple[str, float, Any]]:
    """(text, confidence, points) of every word or line; none where there is no text."""
    if result.txts is None:
        return []
    if word_boxes and all(isinstance(line, tuple) for line in result.word_results):
        return [word for line in result.word_results for word in line]
    return zip(result.txts, result.scores, result.boxes, strict=True)


def _ocr_text(text: str, confidence: float, points: Any) -> OcrText:
    return OcrText(text, min(max(float(confidence), 0.0), 1.0), np.asarray(points, dtype=np.float32))


def main() -> None:
    """The engine as a command: paths on the standard input, JSON on the standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--word-boxes", action="store_true", help="words instead of lines, with estimated polygons")
    serve(RapidOcrEngine(parser.parse_args().word_boxes), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
