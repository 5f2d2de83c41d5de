from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from scenetext.config import validate
from scenetext.data.records.files import read_records
from scenetext.data.records.images import read_image
from scenetext.errors import DataError
from scenetext.scenes import SceneGenerator, SceneSettings
from scenetext.scenes.fonts import FontLibrary
from scenetext.scenes.writing import generate

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {"width": [96, 128], "height": [96, 96], "words": [1, 3], "layout": {"text_height": [12, 30]}}


@pytest.fixture
def scenes() -> SceneGenerator:
    return SceneGenerator(validate(SceneSettings, SMALL, "test"), 5, FontLibrary([None]), ("Open", "market", "bakery"))


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_workers_do_not_change_a_byte(tmp_path: Path, scenes: SceneGenerator) -> None:
    seen = []
    alone = generate(scenes, tmp_path / "one", 11)
    together = generate(scenes, tmp_path / "two", 11, workers=2, on_image=lambda record: seen.append(record.path.name))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert seen == [f"{index:06d}.jpg" for index in range(11)]
    assert (alone.images, alone.words, alone.ignored) == (together.images, together.words, together.ignored)


def test_glyph_layers_are_the_scenes_with_their_letters_known(tmp_path: Path, scenes: SceneGenerator) -> None:
    report = generate(scenes, tmp_path, 4, glyphs=True)
    assert yaml.safe_load((tmp_path / "scenes.yaml").read_text())["glyphs"] is True
    for index, record in enumerate(read_records(report.records)):
        layer, (scene, instances) = read_image(record.path, keep_alpha=True), scenes.scene(index)
        assert record.path.name == f"{index:06d}.png"
        assert layer.shape == (*scene.shape[:2], 4)
        assert np.abs(layer[..., :3].astype(int) - scene).mean() < 12, "the same scene, before the camera"
        inside = np.zeros(scene.shape[:2], dtype=np.uint8)
        for stored, made in zip(record.instances, instances, strict=True):
            np.testing.assert_allclose(stored.polygon, made.polygon, atol=0.0051)
            word = cv2.fillPoly(np.zeros_like(inside), [np.rint(made.polygon).astype(np.int32)], 1)  # type: ignore[union-attr]
            assert 0.1 < (layer[..., 3] > 127)[word > 0].mean() < 0.9, "letters, and ground between them"
            inside |= word
        assert layer[..., 3][cv2.dilate(inside, np.ones((5, 5))) == 0].max() == 0, "nothing but words is letters"
    generate(scenes, tmp_path, 1, overwrite=True)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["000000.jpg"]


def test_records_say_what_the_images_show(tmp_path: Path, scenes: SceneGenerator) -> None:
    report = generate(scenes, tmp_path, 5, provenance={"command": "python make.py"})
    records = read_records(report.records)
    assert report.images == len(records) == 5
    assert report.words == sum(len(record.instances) for record in records)
    assert report.ignored == sum(instance.ignore for record in records for instance in record.instances)
    for index, record in enumerate(records):
        image, instances = scenes.scene(index)
        np.testing.assert_array_equal(read_image(record.path), image)
        assert (record.height, record.width) == image.shape[:2]
        assert [i.text for i in record.instances] == [i.text for i in instances]
        for stored, made in zip(record.instances, instances, strict=True):
            np.testing.assert_allclose(stored.polygon, made.polygon, atol=0.0051)
    description = yaml.safe_load((tmp_path / "scenes.yaml").read_text())
    assert validate(SceneSettings, description["settings"], "scenes.yaml") == scenes.settings
    assert (description["seed"], description["count"], description["command"]) == (5, 5, "python make.py")


def test_an_earlier_set_is_kept_without_overwrite(tmp_path: Path, scenes: SceneGenerator) -> None:
    generate(scenes, tmp_path, 3)
    before = contents(tmp_path)
    (tmp_path / "images" / "mine.jpg").write_bytes(b"another file")
    with pytest.raises(DataError, match="already holds records.jsonl; .*--overwrite"):
        generate(scenes, tmp_path, 2)
    generate(scenes, tmp_path, 2, overwrite=True)
    after = contents(tmp_path)
    assert set(before) - set(after) == {"images/000002.jpg"}
    assert (tmp_path / "images" / "mine.jpg").read_bytes() == b"another file"


@pytest.mark.parametrize(
    ("count", "workers", "message"),
    [(0, 1, "number of images must be at least 1, got 0"), (1, 0, "workers must be at least 1, got 0")],
)
def test_numbers_below_one_are_refused(
    tmp_path: Path, scenes: SceneGenerator, count: int, workers: int, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        generate(scenes, tmp_path, count, workers)
    assert not any(tmp_path.iterdir())


def test_a_file_in_the_way(tmp_path: Path, scenes: SceneGenerator) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(DataError, match="taken: is a file"):
        generate(scenes, tmp_path / "taken", 1)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "tools" / "generate.py"), *map(str, arguments)]
    environment = {"PYTHONPATH": str(REPOSITORY / "src"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


def test_command(tmp_path: Path) -> None:
    config, output = "few_words", tmp_path / "out"
    arguments = (config, "--output", output, "--count", 30, "--workers", 1, "words=[1, 2]")
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "images       30 (" in done.stdout
    assert str(output / "records.jsonl") in done.stdout
    assert "100%" in done.stderr, "the progress bar"
    records = read_records(output / "records.jsonl")
    assert [len(record.instances) <= 2 for record in records] == [True] * 30
    assert read_image(output / "sheet.jpg").shape[1] > 3 * 320
    again = run(*arguments)
    assert again.returncode == 2
    assert again.stderr.startswith("error: ")
    assert "--overwrite" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--count", "0"), "at least 1, got 0"),
        (("--words", "nowhere.txt"), "nowhere.txt: the word list cannot be read"),
        (("--backgrounds", "nowhere"), "nowhere: is not a folder"),
        (("--fonts", "nowhere"), "nowhere: the font folder does not exist"),
        (("layout.rotatoin=3",), "did you mean rotation?"),
    ],
)
def test_mistakes_are_explained_in_one_message(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run("single_word", "--output", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_torch_is_not_imported() -> None:
    code = "import sys, scenetext.scenes.writing; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(REPOSITORY / "src")}, check=False)
    assert done.returncode == 0
