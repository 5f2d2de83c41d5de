"""Every reader on damaged annotations (`--fuzz 10000`): a ScenetextError with the file, or correct records, and no word
lost without a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fuzzed_datasets import FUZZED, WORDS
from fuzzing import assert_nothing_lost, assert_valid, flips, fuzz, mutations
from scenetext.data.readers import READERS, ReadReport
from scenetext.data.readers.recognition import recognise
from scenetext.structures import ImageRecord

WITHOUT_ANNOTATIONS = {"images"}


class OneThread:
    """In place of many threads that read headers of images: ten thousand times, handing over takes longest."""

    def __init__(self, threads: int) -> None:
        self.map = map

    def __enter__(self) -> OneThread:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenetext.data.readers.files.ThreadPoolExecutor", OneThread)


def test_every_reader_is_fuzzed() -> None:
    assert {name.split()[0] for name in FUZZED} | WITHOUT_ANNOTATIONS == READERS.keys()


def places(name: str, root: Path) -> list[Mapping[str, Any]]:
    """The arguments of every split."""
    values = FUZZED[name].values
    return [values(root)] if values else list(READERS[name.split()[0]].find(root).splits.values())


def read(name: str, splits: list[Mapping[str, Any]], report: ReadReport) -> list[ImageRecord]:
    return [record for values in splits for record in READERS[name.split()[0]].read(values, report)]


@pytest.mark.parametrize("name", FUZZED)
def test_damage_is_reported_or_gives_valid_records_without_loss(tmp_path: Path, fuzz_times: int, name: str) -> None:
    fuzzed = FUZZED[name]
    path = fuzzed.build(tmp_path / "set")
    splits = places(name, tmp_path / "set")
    whole, report = path.read_bytes(), ReadReport()
    texts = {instance.text for record in read(name, splits, report) for instance in record.instances}
    words = [word for word in WORDS if word.encode() in whole] if fuzzed.spelled else []
    assert texts >= set(words)
    assert not report.dropped

    def attempt(content: bytes) -> None:
        report = ReadReport()
        records = read(name, splits, report)
        assert_valid(records, tmp_path)
        assert_nothing_lost(whole, content, words, records, report)

    # A file of lines names the line, but for what concerns the whole: "none of its images can be read".
    names = r"(:\d+: |: none of its )" if fuzzed.lines else ""
    place = path.parent if name == "labelme" else path  # whose images may be missing altogether, in a folder of files
    tally = fuzz(path, mutations(whole, fuzz_times, lines=fuzzed.lines), attempt, names, place)
    assert tally.read or name in ("synthtext", "tar-shards")
    assert tally.refused


@pytest.mark.parametrize("name", FUZZED)
def test_a_folder_of_damaged_annotations_is_recognised_or_refused(tmp_path: Path, fuzz_times: int, name: str) -> None:
    path = FUZZED[name].build(tmp_path / "set")

    def attempt(_: bytes) -> None:
        assert recognise(tmp_path / "set", READERS).reason

    fuzz(path, mutations(path.read_bytes(), fuzz_times // 20), attempt, place=tmp_path / "set")


@pytest.mark.parametrize("name", ["synthtext", "totaltext mat"])
def test_a_flipped_bit_of_a_matlab_file_changes_one_image_or_word(tmp_path: Path, fuzz_times: int, name: str) -> None:
    path = FUZZED[name].build(tmp_path / "set")
    splits = places(name, tmp_path / "set")

    def parts(report: ReadReport) -> list[str]:
        records = read(name, splits, report)
        if name == "synthtext":
            return [repr([(i.text, repr(i.polygon)) for i in record.instances]) for record in records]
        return [repr((i.text, i.ignore, repr(i.polygon))) for record in records for i in record.instances]

    whole = parts(ReadReport())

    def attempt(content: bytes) -> None:
        report = ReadReport()
        found = parts(report)
        dropped = sum(finding.count for finding in report.dropped.values())
        assert len(found) + dropped >= len(whole)
        if not dropped:
            assert sum(one != other for one, other in zip(found, whole, strict=True)) <= 1

    tally = fuzz(path, flips(path.read_bytes(), fuzz_times), attempt)
    assert tally.read
    assert tally.refused
