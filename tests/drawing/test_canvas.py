from __future__ import annotations

import numpy as np
import pytest

from scenetext.drawing.canvas import put_text, text_size


@pytest.mark.parametrize(("character", "code"), [("中", "U+4E2D"), ("é", "U+00E9"), ("\U0001f600", "U+1F600")])
def test_a_character_without_a_letter_is_told_by_its_code_point(character: str, code: str) -> None:
    drawn = [np.zeros((40, 200, 3), dtype=np.uint8) for _ in range(2)]
    put_text(drawn[0], f"a{character}b", (0, 0), 16)
    put_text(drawn[1], f"a{code}b", (0, 0), 16)
    assert np.array_equal(*drawn)


def test_every_printable_ascii_character_is_drawn_as_itself() -> None:
    """A code point would be six letters wide."""
    assert all(text_size(chr(one), 16)[0] < text_size("U+0041", 16)[0] / 2 for one in range(33, 127))
