from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from scenetext.errors import DataError
from scenetext.scenes import fonts
from scenetext.scenes.fonts import FontLibrary, find_fonts, is_symbol_font, load_fonts


def system_font(name: str) -> Path:
    for path in find_fonts(fonts.system_font_folders()):
        if path.name == name:
            return path
    pytest.skip(f"this machine has no {name}")


class Substitute:
    """A face that draws other characters than it is asked for, as symbol fonts do."""

    def __init__(self, face: Any, first: int) -> None:
        self.face, self.first = face, first

    def getmask(self, text: str) -> Any:
        return self.face.getmask(
            "".join(c if c == fonts.MISSING else chr(self.first + ord(c) - ord("A")) for c in text)
        )


def test_built_in_font_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "system_font_folders", lambda: ())
    search = load_fonts()
    assert search.fonts.paths == (None,)
    assert search.fonts.supports(0, "Open24/7")


def test_missing_glyphs_are_noticed() -> None:
    library = FontLibrary([None])
    assert library.supports(0, "abcXYZ0189$%.,:-/+#")
    assert not library.supports(0, "漢")
    assert not library.supports(0, "a漢")
    assert not library.supports(0, " "), "a blank leaves no ink"


def test_unicode_is_written_by_a_font_that_has_it() -> None:
    library = FontLibrary([None, system_font("DejaVuSans.ttf")])
    assert [n for n in range(2) if library.supports(n, "Straße")] == [1]
    assert [n for n in range(2) if library.supports(n, "жук")] == [1]


def test_coverage_agrees_with_a_real_character_map() -> None:
    """DejaVu Sans maps Greek and Cyrillic, and no Chinese or private characters."""
    library = FontLibrary([system_font("DejaVuSans.ttf")])
    assert all(library.supports(0, chr(code)) for code in [*range(0x21, 0x7F), *range(0x3B1, 0x3CA)])
    assert not any(library.supports(0, chr(code)) for code in [*range(0x4E00, 0x4E20), 0x10FFFF, 0xF8FF - 64])


def test_symbol_fonts_are_recognised_by_shape() -> None:
    face = FontLibrary([system_font("DejaVuSans.ttf")]).face(0, fonts.PROBE_SIZE)
    assert not is_symbol_font(face)
    assert is_symbol_font(Substitute(face, 0x2600)), "weather, chess and cards"
    assert is_symbol_font(Substitute(face, 0x25A0)), "squares, triangles and circles"
    assert not is_symbol_font(Substitute(face, 0x4E00)), "no Latin letters at all: a font of another script"


def test_symbol_fonts_are_recognised_by_name(tmp_path: Path) -> None:
    source = system_font("DejaVuSans.ttf")
    (tmp_path / "Good.ttf").write_bytes(source.read_bytes())
    (tmp_path / "MyWebdings.ttf").write_bytes(source.read_bytes())
    (tmp_path / "Broken.otf").write_bytes(b"no font")
    (tmp_path / "notes.txt").write_text("no font either")
    search = load_fonts(tmp_path)
    assert [path.name for path in search.fonts.paths if path] == ["Good.ttf"]
    reasons = {path.name: reason for path, reason in search.skipped}
    assert reasons.keys() == {"MyWebdings.ttf", "Broken.otf"}
    assert "by its name" in reasons["MyWebdings.ttf"]
    assert "cannot be read" in reasons["Broken.otf"]


def test_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: the font folder does not exist"):
        load_fonts(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no usable font"):
        load_fonts(tmp_path)
    (tmp_path / "a.ttf").write_bytes(b"")
    with pytest.raises(DataError, match=r"no usable font.*\n  a.ttf: cannot be read"):
        load_fonts(tmp_path)


def test_library_travels_to_other_processes() -> None:
    library = FontLibrary([None])
    before = fonts.picture(library.face(0, 30), "Word")
    library.supports(0, "Word")
    copy = pickle.loads(pickle.dumps(library))
    assert fonts.picture(copy.face(0, 30), "Word") == before
    assert copy.supports(0, "Word")


def test_opened_fonts_are_bounded() -> None:
    library = FontLibrary([None])
    for size in range(10, 20 + fonts.CACHED_FACES):
        library.face(0, size)
    assert len(library._faces) <= fonts.CACHED_FACES
