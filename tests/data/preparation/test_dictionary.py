"""Dictionaries from data, checked against data, and read from pickles that may be hostile."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damage import data_error, with_other_bytes
from scenetext.data.preparation.dictionaries import CharacterCounts, read_dictionary, read_pickled_dictionary
from scenetext.errors import DataError
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet


def count(texts: list[str | None], known: CharacterSet | None = None) -> CharacterCounts:
    counts = CharacterCounts(known)
    records = [ImageRecord(Path("a.jpg"), 1, 1, (TextInstance(None, text),)) for text in texts]
    assert list(counts.watch(records)) == records
    return counts


def test_a_dictionary_holds_every_character_once_in_the_order_of_code_points() -> None:
    counts = count(["中国 bank", None, "ban\u3000国", "😀é"])
    assert counts.characters().characters == tuple("abkné中国😀")
    assert (len(counts), counts.words) == (8, 5)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_a_built_dictionary_knows_every_word_and_reads_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    counts = count(list(texts))
    words = [word for text in texts for word in text.split()]
    if not words:
        with pytest.raises(DataError, match="no words"):
            counts.characters()
        return
    characters = counts.characters()
    assert all(map(characters.knows, words))
    path = tmp_path_factory.mktemp("dictionary") / "characters.txt"
    characters.write(path)
    assert CharacterSet.from_file(path) == characters
    checked = count(list(texts), characters)
    assert (checked.unknown(), checked.unknown_words, checked.words) == ([], 0, len(words))


def test_unknown_characters_come_with_counts_and_words_the_most_frequent_first() -> None:
    counts = count(["CAFÉ", "ÉTÉ ÜBER", "CAFÉ", "DÉJÀ", "FÉE", "OPEN"], CharacterSet.english())
    assert [(one.character, one.count, one.words) for one in counts.unknown()] == [
        ("É", 6, ("CAFÉ", "ÉTÉ", "DÉJÀ")),
        ("À", 1, ("DÉJÀ",)),
        ("Ü", 1, ("ÜBER",)),
    ]
    assert (counts.words, counts.unknown_words) == (7, 6)


def test_ignored_texts_do_not_count() -> None:
    counts = CharacterCounts()
    record = ImageRecord(Path("a.jpg"), 1, 1, (TextInstance(None, "ab"), TextInstance(None, "xy", ignore=True)))
    list(counts.watch([record]))
    assert counts.characters().characters == ("a", "b")


CHARACTERS = "aZ9~é中😀"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("form", [list, tuple])
@pytest.mark.parametrize("entry", [ord, str])
def test_a_pickled_list_is_read_whatever_wrote_it(tmp_path: Path, protocol: int, form: type, entry: type) -> None:
    path = tmp_path / "char_dict"
    path.write_bytes(pickle.dumps(form(map(entry, CHARACTERS)), protocol))
    assert read_pickled_dictionary(path).characters == tuple(CHARACTERS)


@pytest.mark.parametrize("characters", [CHARACTERS, "ab.", ".ab", "x", "中."])
def test_either_kind_of_dictionary_is_detected_by_its_content(tmp_path: Path, characters: str) -> None:
    path = tmp_path / "char_dict"
    contents = [pickle.dumps([*map(ord, characters)], protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    plain = "\n".join(characters).encode()
    for content in (*contents, plain, plain + b"\n", b"\xef\xbb\xbf" + plain, plain.replace(b"\n", b"\r\n")):
        path.write_bytes(content)
        assert read_dictionary(path).characters == tuple(characters), content
    for content, reason in (
        (b"", "is empty"),
        (b"ab\ncd\n", "a single character"),
        (pickle.dumps({"a": 1}), "pickled"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=reason):
            read_dictionary(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_large_pickled_list_keeps_its_order(tmp_path: Path, protocol: int) -> None:
    """Lists of more than 1000 entries are pickled in batches."""
    codes = list(range(0x4E00 + 5250, 0x4E00 - 1, -1))
    path = tmp_path / "char_dict"
    path.write_bytes(pickle.dumps(codes, protocol))
    characters = read_pickled_dictionary(path)
    assert characters.characters == tuple(map(chr, codes))
    assert characters.vocabulary_size == 5254


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_in_a_pickle_is_executed(tmp_path: Path, protocol: int) -> None:
    path, marker = tmp_path / "char_dict", tmp_path / "executed"
    path.write_bytes(pickle.dumps([97, Hostile(marker)], protocol))
    with pytest.raises(
        DataError, match=r"char_dict: is no pickled list of characters: it holds the pickle instruction"
    ):
        read_pickled_dictionary(path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists(), "an unpickler would have executed it"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"a": 1}), "the pickle instruction EMPTY_DICT"),
        (pickle.dumps("abc"), "something else than one list"),
        (pickle.dumps([97, 98, 1.5]), "the pickle instruction BINFLOAT"),
        (pickle.dumps([97, -1]), "-1 is no character"),
        (pickle.dumps([97, 0x110000]), "1114112 is no character"),
        (pickle.dumps([97, [98]]), r"\[98\] is no character"),
        (pickle.dumps([0xD800]), "half of a character"),
        (pickle.dumps([97, 97]), "repeats 'a'"),
        (pickle.dumps([97, 32]), "is blank"),
        (pickle.dumps(["ab"]), "expected a single character"),
        (pickle.dumps([]), "the dictionary is empty"),
        (pickle.dumps([97, 98])[:-3], "is no pickled list"),
        (b"", "is no pickled list"),
        (b"a\nb\n", "is no pickled list"),
        (b"(e.", "do not fit together"),
        (b"r\xff\xff\xff\xff.", "remembers a value under 4294967295"),
        (b"]r\xff\xff\xff\x7f.", "remembers a value under 2147483647"),
        (b"]p99999999\n.", "remembers a value under 99999999"),
        (b"\x80\x02cos\nsystem\n.", "the pickle instruction GLOBAL"),
        (b"\x80\x02\x82\x01.", "the pickle instruction EXT1"),
        (b"](" + b"]" * 50_000 + b"a" * 49_999 + b"e.", "is no character"),
    ],
)
def test_what_is_no_dictionary_is_refused_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "char_dict"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_pickled_dictionary(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_or_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_pickled_dictionary(tmp_path / "none")
    (tmp_path / "huge").write_bytes(bytes((1 << 24) + 1))
    with pytest.raises(DataError, match="far too many"):
        read_pickled_dictionary(tmp_path / "huge")


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_damage_is_a_data_error_or_gives_a_dictionary(tmp_path: Path, protocol: int) -> None:
    whole = pickle.dumps([*range(97, 120), 0x4E2D, 0x1F600], protocol)
    path = tmp_path / "char_dict"
    for content in with_other_bytes(whole, 300, seed=protocol):
        path.write_bytes(content)
        error = data_error(lambda: read_pickled_dictionary(path))
        assert error is None or str(error).startswith(str(path))
