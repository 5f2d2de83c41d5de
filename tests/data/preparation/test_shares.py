"""Shares of a collection are disjoint, complete and even, and a merge takes all of them or none."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetext.data.preparation.packing import PackSettings, pack_share
from scenetext.data.preparation.shares import Share, finish_share, is_finished, merge_shares
from scenetext.data.records.files import read_records, write_records
from scenetext.data.records.images import write_image
from scenetext.errors import ConfigError, DataError
from scenetext.structures import ImageRecord


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=40), st.integers(1, 7))
def test_every_name_and_number_is_in_one_share(names: list[str], count: int) -> None:
    shares = [Share(number, count) for number in range(1, count + 1)]
    assert sorted(name for share in shares for name in share.of_names(names)) == sorted(names)
    assert sorted(np.concatenate([share.of_numbers(len(names)) for share in shares]).tolist()) == list(
        range(len(names))
    )
    assert shares[0].of_names(names) == [name for name in names if name in shares[0].of_names([name])]


def test_shares_are_even_and_the_same_for_ever() -> None:
    names = [f"images/{number}.jpg" for number in range(3000)]
    sizes = [len(Share(number, 10).of_names(names)) for number in range(1, 11)]
    numbers = [len(Share(number, 10).of_numbers(3000)) for number in range(1, 11)]
    # Binomial: 300 expected, a deviation of 16.4; six of them leave one failure in ten million.
    assert max(abs(size - 300) for size in sizes + numbers) < 6 * 16.5
    assert Share(2, 3).of_names(list("abcdefgh")) == ["a", "b"]
    assert Share(2, 3).of_numbers(12).tolist() == [1, 3, 4, 5, 11]


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "a/b", "1/4/2", "-1/4"])
def test_what_is_no_share_is_refused(text: str) -> None:
    assert str(Share.parse("3/64")) == "share 3 of 64"
    with pytest.raises(ConfigError, match=re.escape(f"--share {text}: expected a share")):
        Share.parse(text)


def write_share(output: Path, number: int, count: int, made: object = "so") -> Path:
    path = Share(number, count).path(output)
    write_records(path, [ImageRecord(output.parent / f"{number}.jpg", 5, 4, ())])
    if made is not None:
        finish_share(path, {"how": made})
    return path


def test_a_merge_misses_no_share(tmp_path: Path) -> None:
    output = tmp_path / "all.jsonl"
    with pytest.raises(DataError, match="there are no shares of it"):
        merge_shares(output)
    write_share(output, 2, 12)
    with pytest.raises(DataError, match=r"all\.jsonl: 11 of 12 shares are missing or not finished: 1,3,4,.*,12"):
        merge_shares(output)
    for number in range(1, 13):
        write_share(output, number, 12, None if number == 10 else "so")
    with pytest.raises(DataError, match="1 of 12 shares are missing or not finished: 10"):
        merge_shares(output)
    other = write_share(output, 10, 12, "otherwise")
    with pytest.raises(DataError, match=r"share_10_of_12.*was made in another way than .*how: 'so' there, 'otherwise'"):
        merge_shares(output)
    assert not output.exists()
    finish_share(other, {"how": "so"})
    assert is_finished(other, {"how": "so"})
    assert not is_finished(other, {"how": "otherwise"})
    assert list(merge_shares(output).values()) == [1] * 12
    assert [record.path.name for record in read_records(output)] == [f"{number}.jpg" for number in range(1, 13)]
    stray = write_share(output, 1, 5)
    with pytest.raises(DataError, match="shares for 5 and 12 shares in all"):
        merge_shares(output)
    stray.unlink()
    assert merge_shares(output)


def test_a_share_without_images_and_one_that_was_cut_short_are_packed(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((40, 40, 3), dtype=np.uint8))
    records = tmp_path / "a.jsonl"
    write_records(records, [ImageRecord(tmp_path / "a.png", 40, 40, ())])
    folder = tmp_path / "packed"
    (folder / "share_1_of_4").mkdir(parents=True)
    (folder / "share_1_of_4" / "shard_000000.tar.unfinished").write_bytes(b"cut")
    images = []
    for number in range(1, 5):
        done = pack_share(records, Share(number, 4), folder, PackSettings(64, 60), 5, 1, 0)
        assert done is not None
        images.append(done.images)
    assert sorted(images) == [0, 0, 0, 1]
    assert not list(folder.rglob("*.unfinished"))
    assert sum(merge_shares(folder / "records.jsonl").values()) == 1
