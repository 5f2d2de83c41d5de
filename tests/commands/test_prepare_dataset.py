"""`scenetext prepare` as its user meets it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from published_folders import BUILDERS
from scenetext.commands import run_verb
from scenetext.data.readers import READERS
from scenetext.data.records.files import read_records
from scenetext.data.records.images import read_image, write_image
from scenetext.errors import DataError
from scenetext.text.charset import CharacterSet


def run_tool(repository: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, repository / "tools" / "prepare.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def dataset(tmp_path: Path) -> list[object]:
    for name in ("img_1", "img_2"):
        write_image(tmp_path / "images" / f"{name}.jpg", np.zeros((40, 60, 3), dtype=np.uint8))
        (tmp_path / f"gt_{name}.txt").write_text("1,2,30,2,30,12,1,12,A,B\r\n1,2,3,2,3,4,1,4,###\r\n", encoding="utf-8")
    return ["icdar2015", "--images", tmp_path / "images", "--ground-truths", tmp_path]


def test_records_are_written_and_summed_up(repository: Path, dataset: list[object], tmp_path: Path) -> None:
    done = run_tool(repository, *dataset, "--output", tmp_path / "out" / "train.jsonl")
    assert done.returncode == 0, done.stderr
    assert "2 images, 4 words" in done.stdout
    assert "ignored: 2" in done.stdout
    records = read_records(tmp_path / "out" / "train.jsonl")
    assert [i.text for record in records for i in record.instances] == ["A,B", None, "A,B", None]


def test_a_broken_line_is_one_message(repository: Path, dataset: list[object], tmp_path: Path) -> None:
    (tmp_path / "gt_img_2.txt").write_text("1,2,3\n", encoding="utf-8")
    done = run_tool(repository, *dataset, "--output", tmp_path / "train.jsonl")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'gt_img_2.txt'}:1: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "train.jsonl").exists()


@pytest.mark.parametrize("name", READERS)
def test_every_dataset_says_where_it_comes_from_and_what_is_missing(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = READERS[name]
    with pytest.raises(SystemExit) as ended:
        run_verb("prepare", [name, "--help"])
    assert ended.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert name == "images" or "https://" in printed
    assert all(split in printed for split in reader.splits)

    paths = [argument for argument in reader.arguments if argument.kind != "text" and not argument.optional]
    given = [str(part) for argument in paths for part in (argument.flag, tmp_path / "nowhere" / argument.name)]
    with pytest.raises(DataError) as caught:
        run_verb("prepare", [name, *given, "--output", str(tmp_path / "out.jsonl")])
    for argument in paths:
        kind = argument.kind.removesuffix("s")
        assert f"{argument.flag} {tmp_path / 'nowhere' / argument.name}: no such {kind}" in str(caught.value)
    assert f"expected: {reader.files}" in str(caught.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_every_split_of_a_folder_is_written_with_samples_and_missing_ones_are_reported(
    repository: Path, tmp_path: Path
) -> None:
    BUILDERS["icdar2015"][0](tmp_path / "source")
    (tmp_path / "source" / "ch4_test_images").rename(tmp_path / "elsewhere")
    output, dictionary = tmp_path / "new" / "icdar2015", tmp_path / "characters.txt"
    arguments = ["icdar2015", "--source", tmp_path / "source", "--output", output]
    done = run_tool(repository, *arguments, "--characters-output", dictionary)
    assert done.returncode == 0, done.stderr
    assert f"{output / 'train.jsonl'}: 1 images, 1 words" in done.stdout
    assert f"test: not written, since it is not in {tmp_path / 'source'}\n  --images: no folder " in done.stdout
    assert sorted(path.name for path in output.iterdir()) == ["train.jsonl", "train_samples.jpg"]
    picture = read_image(output / "train_samples.jpg")
    assert picture.shape[1] > 480
    assert CharacterSet.from_file(dictionary).characters == tuple(sorted("WORD"))


def test_an_image_that_cannot_be_decoded_is_reported_but_not_drawn(
    dataset: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "images" / "img_2.jpg"
    broken.write_bytes(broken.read_bytes()[:-2])
    arguments = [*map(str, dataset), "--output", str(tmp_path / "train.jsonl")]
    run_verb("prepare", arguments)
    assert f"  not on train_samples.jpg: {broken}: " in capsys.readouterr().out
    assert (tmp_path / "train_samples.jpg").is_file()


MISUSES = {
    "no source": (["icdar2015"], "give --source, or all of --images, --ground-truths"),
    "one source of two": (["icdar2015", "--images", "."], "give --source, or all of --images, --ground-truths"),
    "two ways": (["icdar2015", "--source", ".", "--images", "."], "--source finds what --images would name"),
    "a part of all splits": (["lsvt", "--source", ".", "--part", "val"], "--source finds what --part would name"),
    "a file for a folder": (["icdar2015", "--source", "."], "--output must be a folder"),
    "no shards": (["tar-shards"], "error: give --shards"),
}


@pytest.mark.parametrize(("arguments", "message"), MISUSES.values(), ids=MISUSES.keys())
def test_a_dataset_is_named_in_one_way(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_verb("prepare", [*arguments, "--output", "all.jsonl"])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def weak_labels(tmp_path: Path) -> list[object]:
    labels = {"gt_0": ["北京 烤鸭店", "店"], "gt_1": ["中国银行", "OPEN"], "gt_2": ["口"]}
    for name in labels:
        write_image(tmp_path / "weak" / f"{name}.jpg", np.zeros((40, 60, 3), dtype=np.uint8))
    content = {name: [{"transcription": text} for text in texts] for name, texts in labels.items()}
    (tmp_path / "labels.json").write_text(json.dumps(content), encoding="utf-8")
    return ["lsvt-weak", "--images", tmp_path / "weak", "--ground-truths", tmp_path / "labels.json"]


def test_a_dictionary_is_built_and_what_was_dropped_is_reported(
    repository: Path, weak_labels: list[object], tmp_path: Path
) -> None:
    dictionary = tmp_path / "new" / "lsvt.txt"
    done = run_tool(repository, *weak_labels, "--output", tmp_path / "a.jsonl", "--characters-output", dictionary)
    assert done.returncode == 0, done.stderr
    assert "2 images, 3 words" in done.stdout
    assert "dropped: words under 2 characters: 2 ('店' of gt_0, '口' of gt_2)" in done.stdout
    assert "dropped: images of which no word is kept: 1" in done.stdout
    assert f"{dictionary}: 13 characters, vocabulary 16" in done.stdout
    characters = CharacterSet.from_file(dictionary)
    assert characters.characters == tuple(sorted("北京烤鸭店中国银行OPEN"))
    assert [record.path.name for record in read_records(tmp_path / "a.jsonl")] == ["gt_0.jpg", "gt_1.jpg"]


def test_a_dictionary_is_checked_and_unknown_characters_come_with_words(
    repository: Path, weak_labels: list[object], tmp_path: Path
) -> None:
    english = repository / "data" / "characters" / "english.txt"
    done = run_tool(repository, *weak_labels, "--output", tmp_path / "a.jsonl", "--characters", english)
    assert done.returncode == 0, done.stderr
    assert "lacks 9 of them, which 2 words have" in done.stdout
    assert "'北' (U+5317): 1 times, as in 北京烤鸭店" in done.stdout
    again = run_tool(repository, "characters", tmp_path / "a.jsonl", "--characters", english)
    assert again.returncode == 0, again.stderr
    assert again.stdout in done.stdout


def test_a_published_dictionary_becomes_a_plain_one(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "char_dict").write_bytes(pickle.dumps([ord(one) for one in "b中a"]))
    done = run_tool(repository, "dictionary", tmp_path / "char_dict", tmp_path / "plain.txt")
    assert done.returncode == 0, done.stderr
    assert CharacterSet.from_file(tmp_path / "plain.txt").characters == ("b", "中", "a")
    (tmp_path / "char_dict").write_bytes(b"c")
    done = run_tool(repository, "dictionary", tmp_path / "char_dict", tmp_path / "plain.txt")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'char_dict'}: is no pickled list")


def test_a_published_table_is_read_relative_to_the_working_directory(repository: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "8" / "0.jpg", np.zeros((40, 60, 3), dtype=np.uint8))
    (tmp_path / "train.csv").write_text("filepath\ttitle\n8/0.jpg\tNA 2020\n", encoding="utf-8")
    arguments = ["oclip-table", "--table", tmp_path / "train.csv", "--output", tmp_path / "a.jsonl"]
    assert run_tool(repository, *arguments, "--images", tmp_path).returncode == 0
    (record,) = read_records(tmp_path / "a.jsonl")
    assert [instance.text for instance in record.instances] == ["NA", "2020"]
    done = run_tool(repository, *arguments)
    assert done.returncode == 2
    assert "paths in it are relative to --images" in done.stderr


def test_the_last_images_are_set_aside_for_validation(repository: Path, dataset: list[object], tmp_path: Path) -> None:
    run_tool(repository, *dataset, "--output", tmp_path / "all.jsonl")
    parts = ["--output", tmp_path / "train.jsonl", "--validation-output", tmp_path / "new" / "validation.jsonl"]
    done = run_tool(repository, "split", tmp_path / "all.jsonl", "--validation-images", 1, *parts)
    assert done.returncode == 0, done.stderr
    assert [record.path.name for record in read_records(tmp_path / "train.jsonl")] == ["img_1.jpg"]
    assert [record.path for record in read_records(tmp_path / "new" / "validation.jsonl")] == [
        tmp_path / "images" / "img_2.jpg"
    ]
    for count in (0, 2):
        done = run_tool(repository, "split", tmp_path / "all.jsonl", "--validation-images", count, *parts)
        assert done.returncode == 2
        assert f"--validation-images {count}: there are 2 images" in done.stderr


def test_shards_report_what_they_dropped(repository: Path, dataset: list[object], tmp_path: Path) -> None:
    run_tool(repository, *dataset, "--output", tmp_path / "all.jsonl")
    (tmp_path / "images" / "img_1.jpg").unlink()
    command = ["shards", tmp_path / "all.jsonl", "--output", tmp_path / "shards"]
    done = run_tool(repository, *command)
    assert done.returncode == 0, done.stderr
    assert "1 images in shards of 10000" in done.stdout
    assert f"dropped: images that cannot be read: 1 ({tmp_path / 'images' / 'img_1.jpg'}: " in done.stdout
    (record,) = read_records(tmp_path / "shards" / "records.jsonl")
    assert record.path == tmp_path / "shards" / "shard_000000.tar" / "00000000_img_2.jpg"
    done = run_tool(repository, *command)
    assert done.returncode == 2
    assert "choose another folder" in done.stderr


def test_check_prints_a_table_of_every_file_and_fails_where_one_is_not_usable(
    repository: Path, dataset: list[object], tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    for path in (good, bad):
        assert run_tool(repository, *dataset, "--output", path).returncode == 0
    CharacterSet("AB").write(tmp_path / "characters.txt")
    done = run_tool(repository, "check", good, "--characters", tmp_path / "characters.txt")
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()][1:3] == [["images", "2"], ["missing", "0"]]
    assert "    ',' (U+002C): 2 times" in done.stdout
    bad.write_bytes(good.read_bytes().replace(b"img_2", b"img_3") + b"{}\n")
    done = run_tool(repository, "check", good, bad)
    assert done.returncode == 1
    assert done.stdout.count("  usable\n") == 1
    assert "NOT USABLE as it is: lines are broken, 1 of 3 images cannot be used" in done.stdout
    assert f"{bad}:3: " in done.stdout
    assert f"{tmp_path / 'images' / 'img_3.jpg'}: " in done.stdout
    assert "Traceback" not in done.stderr
