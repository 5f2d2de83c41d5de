"""Result files as the Robust Reading servers take them, for test sets whose ground truth is not public.

| format | file | a detection |
|---|---|---|
| `icdar2015` | zip of `res_<image>.txt` | `x1,y1,...,x4,y4`, whole pixels, clockwise; then its text, if any |
| `mlt` | zip of `res_<image>.txt` | the same with the score before the text (MLT 2017 and 2019) |
| `art`, `lsvt` | JSON, `{"res_<number>": [...]}` | `{"points": [[x, y], ...], "confidence": c, "transcription": t}` |

`<image>` is the name of the image file without its suffix and without a leading `ts_`, `tr_` or `gt_`; `<number>` is
the last number in it (`gt_12.jpg` is `res_12`). Every image has an entry, be it empty. Where a format wants
quadrangles, other polygons become their minimum rectangles. Texts are written where the detections have any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from scenetext.errors import DataError
from scenetext.geometry.polygon import minimum_rectangle, signed_area
from scenetext.structures import Detection

SubmissionFormat = Literal["icdar2015", "mlt", "art", "lsvt"]
_SUFFIX: Mapping[SubmissionFormat, str] = {"icdar2015": ".zip", "mlt": ".zip", "art": ".json", "lsvt": ".json"}
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""The date of every file in a zip, so that equal results are equal archives."""


def write_submission(
    folder: Path, detections: Mapping[Path, Sequence[Detection]], file_format: SubmissionFormat, lowest_score: float
) -> Path:
    """Writes `submission.zip` or `submission.json`, and returns its path.

    Args:
        detections: of every image of the test set, in pixels of the original image.
        lowest_score: detections below it are dropped.

    Raises:
        DataError: two images have the same name in the submission, or a name has no number where it needs one.
    """
    by_name: dict[str, Path] = {}
    for path in detections:
        name = _numbered_name(path) if _SUFFIX[file_format] == ".json" else _plain_name(path)
        if name in by_name:
            raise DataError(f"{by_name[name]} and {path} are both {name} in a submission of the format {file_format}")
        by_name[name] = path
    chosen = {
        name: [found for found in detections[path] if found.score >= lowest_score] for name, path in by_name.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"submission{_SUFFIX[file_format]}"
    if _SUFFIX[file_format] == ".json":
        content = {name: [_entry(found) for found in each] for name, each in chosen.items()}
        file.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
        return file
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, each in chosen.items():
            lines = "".join(f"{_line(found, file_format)}\r\n" for found in each)
            archive.writestr(ZipInfo(f"{name}.txt", _FIRST_DATE), lines.encode("utf-8"), ZIP_DEFLATED)
    return file


def _plain_name(path: Path) -> str:
    return f"res_{re.sub(r'^(ts|tr|gt)_', '', path.stem)}"


def _numbered_name(path: Path) -> str:
    numbers = re.findall(r"\d+", path.stem)
    if not numbers:
        raise DataError("the image's name has no number, by which a submission would name it", path)
    return f"res_{int(numbers[-1])}"


def _line(found: Detection, file_format: SubmissionFormat) -> str:
    fields = [str(value) for value in np.rint(_clockwise(_quadrangle(found.polygon))).astype(int).ravel()]
    if file_format == "mlt":
        fields.append(f"{found.score:.4f}")
    if found.text is not None:
        fields.append(" ".join(found.text.split()))
    return ",".join(fields)


def _entry(found: Detection) -> dict[str, object]:
    points = np.rint(_clockwise(found.polygon)).astype(int).tolist()
    entry: dict[str, object] = {"points": points, "confidence": round(float(found.score), 4)}
    return entry if found.text is None else {**entry, "transcription": found.text}


def _quadrangle(polygon: np.ndarray) -> np.ndarray:
    return polygon if len(polygon) == 4 else minimum_rectangle(polygon)


def _clockwise(polygon: np.ndarray) -> np.ndarray:
    return polygon[::-1] if signed_area(polygon) < 0 else polygon
