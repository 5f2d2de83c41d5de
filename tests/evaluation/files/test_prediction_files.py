"""Files of detections in every format: what is read, and what broken ones get to read."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from scenetext.errors import DataError
from scenetext.evaluation.files import read_predictions, write_detections
from scenetext.evaluation.files.points import in_outline_order
from scenetext.evaluation.files.result_lines import Columns
from scenetext.structures import Detection

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10]]
FLAT = [value for point in SQUARE for value in point]


def plain(found: list[Detection]) -> list[tuple[list[list[float]], float, str | None]]:
    return [(one.polygon.tolist(), one.score, one.text) for one in found]


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    detections = {
        Path("a/1.jpg"): [
            Detection(np.array([[0, 0], [1.256, 0], [1, 1]], dtype=np.float32), 0.123456, "É, x", 0.76543)
        ],
        Path("b.jpg"): [],
    }
    write_detections(tmp_path / "new" / "out.json", detections)
    content = json.loads((tmp_path / "new" / "out.json").read_text())
    polygon = [[0.0, 0.0], [1.26, 0.0], [1.0, 1.0]]
    assert content["images"][0] == {
        "path": str(Path("a/1.jpg")),
        "detections": [{"polygon": polygon, "score": 0.1235, "text": "É, x", "text_score": 0.7654}],
    }
    read = read_predictions(tmp_path / "new" / "out.json")
    assert list(read) == [str(Path("a/1.jpg")), "b.jpg"]
    assert read["b.jpg"] == []
    (one,) = read[str(Path("a/1.jpg"))]
    np.testing.assert_allclose(one.polygon, polygon, rtol=1e-6)
    assert (one.score, one.text, one.text_score) == (0.1235, "É, x", 0.7654)


def test_lines_one_image_alone_and_defaults(tmp_path: Path) -> None:
    image = {"path": "img_1.jpg", "detections": [{"polygon": SQUARE}]}
    expected = [(SQUARE, 1.0, None)]
    lines = f"\ufeff{json.dumps(image)}\n\n{json.dumps({'path': 'img_2', 'detections': []})}\n"
    read = read_predictions(written(tmp_path / "found.jsonl", lines))
    assert plain(read["img_1.jpg"]) == expected
    assert read["img_2"] == []
    assert plain(read_predictions(written(tmp_path / "one.json", image))["img_1.jpg"]) == expected
    with_origin = {"engine": "other 1.2", "images": [image]}
    assert plain(read_predictions(written(tmp_path / "all.json", with_origin))["img_1.jpg"]) == expected


def test_mmocr_folder(tmp_path: Path) -> None:
    newer = {"det_polygons": [FLAT, FLAT[:6]], "det_scores": [0.9, 0.25], "rec_texts": ["A", "B"], "rec_scores": [1, 1]}
    written(tmp_path / "img_1.json", newer)
    written(tmp_path / "img_2.json", {"det_polygons": [], "det_scores": [], "rec_texts": []})
    written(tmp_path / "out_3.json", {"filename": "x/img_3.jpg", "boundary_result": [[*FLAT, 0.75]]})
    read = read_predictions(tmp_path)
    assert {name: plain(found) for name, found in read.items()} == {
        "img_1": [(SQUARE, 0.9, "A"), (SQUARE[:3], 0.25, "B")],
        "img_2": [],
        "x/img_3.jpg": [(SQUARE, 0.75, None)],
    }


@pytest.mark.parametrize(
    ("line", "columns", "expected"),
    [
        ("0,0,10,0,10,10,0,10", None, (SQUARE, 1.0, None)),
        (" 0, 0,10,0,10,10,0,10, 0.5 \r", None, (SQUARE, 0.5, None)),
        ("0,0,10,10", None, (SQUARE, 1.0, None)),
        ("0,0,10,10,0.5", None, (SQUARE, 0.5, None)),
        ("0,0,10,0,10,10,0,10,5,5", None, ([*SQUARE, [5, 5]], 1.0, None)),
        ("0,0,10,0,10,10,0,10,a, b", "polygon,text", (SQUARE, 1.0, "a, b")),
        ("0,0,10,0,10,10,0,10,2019", "polygon,text", (SQUARE, 1.0, "2019")),
        ("0,0,10,0,10,10,0,10,0.5,7", "polygon,score,text", (SQUARE, 0.5, "7")),
        ("0,0,10,0,10,10,0,10,", "polygon,text", (SQUARE, 1.0, "")),
    ],
)
def test_icdar_lines(line: str, columns: Columns | None, expected: Any, tmp_path: Path) -> None:
    written(tmp_path / "res_img_1.txt", f"\ufeff{line}\n\n")
    written(tmp_path / "res_img_2.txt", "")
    read = read_predictions(tmp_path, columns)
    assert {name: plain(found) for name, found in read.items()} == {"img_1": [expected], "img_2": []}
    with ZipFile(tmp_path / "submit.zip", "w") as archive:
        archive.write(tmp_path / "res_img_1.txt", "folder/res_img_1.txt")
        archive.writestr("folder/._res_img_1.txt", b"\xff")
    assert plain(read_predictions(tmp_path / "submit.zip", columns)["img_1"]) == [expected]


HEXAGON = [[10, 40], [60, 10], [110, 40], [110, 70], [60, 40], [10, 70]]
LINE = ",".join(str(value) for point in HEXAGON for value in point)
QUAD = "0,0,10,0,10,10,0,10"


@pytest.mark.parametrize(
    ("lines", "columns", "texts"),
    [
        ([f"{LINE},HELLO"], "polygon,text", {6: "HELLO"}),
        ([f"{LINE},0.9,HELLO"], "polygon,score,text", {6: "HELLO"}),
        ([f"{LINE},####HELLO", f"{QUAD},#####1"], "polygon,text", {6: "HELLO", 4: "#1"}),
        ([f"{LINE},####", f"{QUAD},A"], "polygon,text", {6: "####", 4: "A"}),
        ([f"{LINE},2019", f"{QUAD},7"], "polygon,text", {6: "2019", 4: "7"}),
        ([f"{LINE},0.5,7,5", f"{QUAD},0.5,"], "polygon,score,text", {6: "7,5", 4: ""}),
        ([f"{QUAD},100,000"], "polygon,text", {4: "100,000"}),
        ([f"{LINE},A, B", f"{QUAD},24,hours"], "polygon,text", {6: "A, B", 4: "24,hours"}),
        ([r'0,0,10,0,10,10,0,10,"say \"a\\b\""'], "polygon,text", {4: r'say "a\b"'}),
        ([f"{QUAD},word"] * 20 + [f"{LINE},A"], "polygon,text", {4: "word", 6: "A"}),
        ([f"{QUAD},word"] * 20 + [f"{QUAD},1000,5000,km"], "polygon,text", {4: "1000,5000,km"}),
    ],
    ids=[
        *("six points", "and a score", "marks before all texts", "a text of marks", "numbers as texts"),
        *(
            "numbers with commas",
            "a number with zeros",
            "texts with commas",
            "quotes",
            "a polygon among quadrilaterals",
        ),
        "numbers too far away for a point",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_texts_behind_outlines_of_any_number_of_points(
    lines: list[str], columns: Columns, texts: dict[int, str], end: str, tmp_path: Path
) -> None:
    (tmp_path / "res_img_1.txt").write_bytes(end.join(lines).encode())
    found = read_predictions(tmp_path, columns)["img_1"]
    assert len(found) == len(lines)
    assert {len(one.polygon) for one in found} == texts.keys()
    assert {len(one.polygon): one.text for one in found} == texts, "of equally long outlines that of the last"


@pytest.mark.parametrize("line", [f"{LINE},0.9,HELLO", f"{QUAD},0.95,A", f"{QUAD},0.5"])
def test_a_score_that_the_columns_do_not_have_does_not_become_text(line: str, tmp_path: Path) -> None:
    written(tmp_path / "res_img_1.txt", f"{line}\n{line}\n")
    with pytest.raises(DataError, match=r"every line has a number between 0 and 1 .* polygon,score,text"):
        read_predictions(tmp_path, "polygon,text")


def test_points_with_y_before_x(tmp_path: Path) -> None:
    written(tmp_path / "res_img_1.txt", "1,2,1,9,5,9,5,2")
    assert read_predictions(tmp_path, axes="yx")["img_1"][0].polygon.tolist() == [[2, 1], [9, 1], [9, 5], [2, 5]]


def test_quadrilaterals_listed_row_by_row_are_reordered_and_counted_where_most_of_them_are() -> None:
    square = np.array(SQUARE, dtype=np.float32)
    by_row, plain_one = Detection(square[[0, 1, 3, 2]], 0.9, "A"), Detection(square, 0.8)
    hexagon = Detection(np.array(HEXAGON, dtype=np.float32), 0.7)
    ordered, count = in_outline_order({"a": [by_row, hexagon], "b": [by_row, plain_one]})
    assert count == 2
    assert plain(ordered["a"]) == [(SQUARE, pytest.approx(0.9), "A"), (HEXAGON, pytest.approx(0.7), None)]
    assert plain(ordered["b"]) == [(SQUARE, pytest.approx(0.9), "A"), (SQUARE, pytest.approx(0.8), None)]
    few = {"a": [by_row, plain_one, plain_one]}
    assert in_outline_order(few) == (few, 0), "one that crosses itself is the detector's fault, and the rule's business"
    assert in_outline_order({"a": []}) == ({"a": []}, 0)


def broken(detection: Any) -> dict[str, Any]:
    return {"images": [{"path": "a.jpg", "detections": [{"polygon": SQUARE}, detection]}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"x\.json:1: is not valid JSON"),
        ('{"path": "a", "detections": []}\n{"path": "b", "detections": []}', r"x\.json:2: .* named \.jsonl"),
        ("[1]", "expected a JSON object with the key images"),
        ({"results": []}, r"none of the keys images, .* but: 'results'"),
        ({"images": {}}, "images must be a list"),
        ({"images": [{"path": "a.jpg"}]}, r"images\[0\]: the key detections is missing; there are: 'path'"),
        ({"images": [{"path": 3, "detections": []}]}, "name of the image"),
        ({"images": [{"path": "a.jpg", "detections": []}] * 2}, r"two results for the image a\.jpg"),
        (broken({"polygon": SQUARE, "scor": 1}), r"images\[0\]: detections\[1\] of a\.jpg: .*'scor' is .* mean score"),
        (broken({"polygon": SQUARE[:2]}), "at least three"),
        (broken({"polygon": FLAT}), r"a point of a polygon is \[x, y\], got 0"),
        (broken({"polygon": [[0, 0], [1, True], [1, 1]]}), "True is not a number of pixels"),
        (broken({"polygon": [[0, 0], [1, 1e9], [1, 1]]}), "1000000000.0 is not a number of pixels"),
        ('{"images": [{"path": "a", "detections": [{"polygon": [[0, NaN]]}]}]}', "NaN is not a number"),
        (broken({"polygon": SQUARE, "score": 93}), "a score is a number from 0 to 1, got 93"),
        (broken({"polygon": SQUARE, "text": 7}), "a text is a string or null, got 7"),
        ({"det_polygons": [FLAT], "det_scores": []}, "1 det_polygons, 0 det_scores and 1 rec_texts"),
        ({"det_polygons": [FLAT[:7]]}, "detection 0: .* got 7 numbers"),
        ({"boundary_result": [[*FLAT, 93]]}, "a score is a number"),
    ],
)
def test_broken_json_is_reported(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_predictions(written(tmp_path / "x.json", content))


@pytest.mark.parametrize(
    ("second", "columns", "message"),
    [
        ("0,0,10,0,10,10,0,10,word", None, r"res_b\.txt:1: is not a line of numbers.*polygon,text"),
        ("0,0,10,0,10,10,0,10", None, r"res_b\.txt: holds polygon, but .*res_a\.txt polygon,score"),
        ("0,0,10,0,10,10,0,10,0.5\n\n1,2,0.5", None, r"res_b\.txt:3: a polygon has two numbers"),
        ("0,0,10,0,10,10,0,10,50", None, r"res_b\.txt:1: a score is a number from 0 to 1, got 50"),
        ("0,0,10,0,10,10,0", "polygon,text", r"res_b\.txt:1: expected x1,y1,...,x4,y4,text"),
        ("0,0,10,0,10,x,0,10,word", "polygon,text", r"res_b\.txt:1: 'x' is not a number"),
    ],
)
def test_broken_lines_are_reported(second: str, columns: Columns | None, message: str, tmp_path: Path) -> None:
    written(tmp_path / "res_a.txt", "0,0,10,0,10,10,0,10,0.5")
    written(tmp_path / "res_b.txt", second)
    with pytest.raises(DataError, match=message):
        read_predictions(tmp_path, columns)


def test_nothing_to_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        read_predictions(tmp_path / "none.json")
    with pytest.raises(DataError, match=r"neither \.txt nor \.json"):
        read_predictions(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"0,0,9,9\n\xff")
    with pytest.raises(DataError, match=r"a\.txt:2: results are not UTF-8"):
        read_predictions(tmp_path)
    written(tmp_path / "broken.zip", "PK")
    with pytest.raises(DataError, match="is not a zip that can be read"):
        read_predictions(tmp_path / "broken.zip")


def mutated(content: bytes, generator: random.Random) -> bytes:
    """A few bytes changed, dropped, doubled, or the end cut off."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, 3)):
        if not changed:
            break
        start = generator.randrange(len(changed))
        end = start + generator.choice((1, 1, 4, 40))
        piece = (b"", bytes([generator.randrange(256)]), changed[start:end] * 2, b"1e999", b"-", b"\n", b"[", b",")
        changed[start:end] = generator.choice(piece)
    return bytes(changed)


@pytest.mark.parametrize("times", [100, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["json", "jsonl", "mmocr", "txt", "zip"])
def test_mutated_files_give_an_error_or_sound_detections(kind: str, times: int, tmp_path: Path) -> None:
    detections = [{"polygon": [*SQUARE, [3.5, 4]], "score": 0.5, "text": "a, b"}, {"polygon": SQUARE}]
    image = {"path": "a.jpg", "detections": detections}
    texts = {
        "json": json.dumps({"images": [image, {**image, "path": "b.jpg"}]}, indent=1),
        "jsonl": f"{json.dumps(image)}\n{json.dumps({**image, 'path': 'b.jpg'})}\n",
        "mmocr": json.dumps({"det_polygons": [FLAT], "det_scores": [0.9], "rec_texts": ["A"]}),
        "txt": "0,0,10,0,10,10,0,10,0.5\r\n1,1,9,1,9,9,1,9,0.75\r\n",
    }
    path = tmp_path / {"mmocr": "x.json", "txt": "folder/res_x.txt"}.get(kind, f"x.{kind}")
    path.parent.mkdir(exist_ok=True)
    if kind == "zip":
        with ZipFile(path, "w") as archive:
            archive.writestr("res_x.txt", texts["txt"])
    whole = path.read_bytes() if kind == "zip" else texts[kind].encode()
    generator = random.Random(0)
    refused = []
    for _ in range(times):
        path.write_bytes(mutated(whole, generator))
        try:
            read = read_predictions(path.parent if kind == "txt" else path)
        except DataError as error:
            refused.append(str(error))
            continue
        for found in read.values():
            assert all(one.polygon.shape[1] == 2 and len(one.polygon) >= 3 and 0 <= one.score <= 1 for one in found)
            assert all(np.isfinite(one.polygon).all() for one in found)
    assert 0 < len(refused) < times
    assert all(str(path.parent) in message for message in refused), "every error names the file"
