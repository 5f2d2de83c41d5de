"""Result files for the servers."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from scenetext.errors import DataError
from scenetext.evaluation.files import read_predictions
from scenetext.evaluation.files.submission import SubmissionFormat, write_submission
from scenetext.structures import Detection

QUAD = np.array([(0.4, 0), (10.6, 0), (10, 5), (0, 5)], dtype=np.float32)
CURVED = np.array([(0, 0), (5, 0), (10, 0), (10, 5), (5, 5), (0, 5)], dtype=np.float32)
IMAGES = {
    Path("a/ts_img_00012.jpg"): [
        Detection(QUAD, 0.9),
        Detection(QUAD[::-1], 0.75, "two\n words, here"),
        Detection(QUAD, 0.2),
    ],
    Path("b/gt_7.png"): [Detection(CURVED, 0.5)],
    Path("c/img_3.jpg"): [],
}


def members(path: Path) -> dict[str, list[str]]:
    with ZipFile(path) as archive:
        return {name: archive.read(name).decode().split("\r\n")[:-1] for name in archive.namelist()}


def test_icdar_2015(tmp_path: Path) -> None:
    path = write_submission(tmp_path / "new", IMAGES, "icdar2015", 0.5)
    assert path == tmp_path / "new" / "submission.zip"
    files = members(path)
    assert list(files) == ["res_img_00012.txt", "res_7.txt", "res_img_3.txt"]
    assert files["res_img_00012.txt"] == ["0,0,11,0,10,5,0,5", "0,0,11,0,10,5,0,5,two words, here"]
    assert files["res_7.txt"] == ["0,0,10,0,10,5,0,5"]
    assert files["res_img_3.txt"] == []


def test_mlt_has_scores_and_equal_results_are_equal_files(tmp_path: Path) -> None:
    only = {Path("img_1.jpg"): [Detection(QUAD, 0.98765)]}
    first = write_submission(tmp_path / "a", only, "mlt", 0.0)
    assert members(first) == {"res_img_1.txt": ["0,0,11,0,10,5,0,5,0.9877"]}
    assert first.read_bytes() == write_submission(tmp_path / "b", only, "mlt", 0.0).read_bytes()
    (read,) = read_predictions(first)["img_1"]
    assert read.score == 0.9877


@pytest.mark.parametrize("file_format", ["art", "lsvt"])
def test_json_formats_keep_polygons(file_format: SubmissionFormat, tmp_path: Path) -> None:
    content = json.loads(write_submission(tmp_path, IMAGES, file_format, 0.5).read_text())
    assert list(content) == ["res_12", "res_7", "res_3"]
    assert content["res_7"] == [{"points": CURVED.astype(int).tolist(), "confidence": 0.5}]
    assert content["res_12"][1]["transcription"] == "two\n words, here"
    assert content["res_3"] == []


def test_names_that_cannot_be_submitted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a/ts_img_1\.jpg and b/img_1\.jpg are both res_img_1"):
        write_submission(tmp_path, {Path("a/ts_img_1.jpg"): [], Path("b/img_1.jpg"): []}, "mlt", 0.0)
    with pytest.raises(DataError, match=r"street\.jpg: the image's name has no number"):
        write_submission(tmp_path, {Path("street.jpg"): []}, "art", 0.0)
