from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden import golden_json
from scenetext.errors import CharacterError, DataError
from scenetext.text.charset import PAD, CharacterSet

CHARACTERS = st.lists(
    st.characters(exclude_categories=("Cs", "Zs", "Zl", "Zp", "Cc")).filter(lambda one: not one.isspace()),
    min_size=1,
    unique=True,
)


@pytest.mark.parametrize("name", ["ascii94", "zh"])
def test_ids_are_those_of_the_published_layout(name: str) -> None:
    golden = golden_json("oclip", "tokenisation.json")[name]
    charset = CharacterSet(golden["characters"])
    assert (PAD, charset.mask, charset.end) == (golden["pad_id"], golden["mask_id"], golden["eos_id"])
    assert charset.vocabulary_size == golden["vocab_size"]
    assert charset.encode(golden["characters"]) == [golden["first_char_id"] + i for i in range(len(charset))]


def test_english_is_printable_ascii_without_the_blank(repository: Path) -> None:
    english = CharacterSet.english()
    assert "".join(english.characters) == bytes(range(33, 127)).decode("ascii")
    assert (english.mask, english.end, english.vocabulary_size) == (95, 96, 97)
    assert CharacterSet.from_file(repository / "data" / "characters" / "english.txt") == english


@given(characters=CHARACTERS, data=st.data())
def test_encode_and_decode_are_inverse(characters: list[str], data: st.DataObject) -> None:
    charset = CharacterSet(characters)
    word = "".join(data.draw(st.lists(st.sampled_from(characters))))
    ids = charset.encode(word)
    assert all(0 < one < charset.mask < charset.end < charset.vocabulary_size for one in ids)
    assert "".join(map(charset.decode, ids)) == word
    assert charset.knows(word)


@given(characters=CHARACTERS)
def test_file_reads_back(characters: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    charset = CharacterSet(characters)
    path = tmp_path_factory.mktemp("characters") / "set.txt"
    charset.write(path)
    assert CharacterSet.from_file(path) == charset


@pytest.mark.parametrize(
    ("content", "characters"),
    [
        (b"a\nb\n", "ab"),
        (b"a\nb", "ab"),
        (b"a\r\nb\r\n", "ab"),
        (b"\xef\xbb\xbfa\nb\n", "ab"),
        ("店\n#\n".encode(), "店#"),
    ],
    ids=["plain", "no last line end", "windows", "byte order mark", "no comments"],
)
def test_file_forms(content: bytes, characters: str, tmp_path: Path) -> None:
    path = tmp_path / "set.txt"
    path.write_bytes(content)
    assert CharacterSet.from_file(path).characters == tuple(characters)


@pytest.mark.parametrize(
    ("content", "place", "word"),
    [
        (b"a\n\nb\n", ":2:", "blank"),
        (b"a\n \nb\n", ":2:", "blank"),
        (b"a\nb\na\n", ":3:", "line 1"),
        (b"a\nbc\n", ":2:", "single character"),
        (b"", ":", "empty"),
        (b"a\n\xff\n", ":", "UTF-8"),
    ],
    ids=["blank line", "a blank", "twice", "two on a line", "empty", "not UTF-8"],
)
def test_bad_file_is_refused_with_its_line(content: bytes, place: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "set.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        CharacterSet.from_file(path)
    assert f"{path}{place}" in str(error.value)
    assert word in str(error.value)


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.txt: cannot be read"):
        CharacterSet.from_file(tmp_path / "absent.txt")


def test_unknown_character_is_named_with_its_word() -> None:
    english = CharacterSet.english()
    with pytest.raises(CharacterError, match=r"'é' \(U\+00E9\) of the word 'café'"):
        english.encode("café")
    assert english.unknown_characters("é x é ß") == ("é", " ", "ß")
    assert not english.knows("a b")


def test_special_ids_decode_to_marks_that_are_no_characters() -> None:
    english = CharacterSet.english()
    assert [english.decode(one) for one in (0, 95, 96, 97, -1)] == ["[pad]", "[mask]", "[end]", "[97]", "[-1]"]


def test_travels_to_loader_processes() -> None:
    charset = CharacterSet("中国a")
    again = pickle.loads(pickle.dumps(charset))
    assert again == charset
    assert hash(again) == hash(charset)
    assert again.encode("国a") == [2, 3]
    assert charset != CharacterSet("国中a")
