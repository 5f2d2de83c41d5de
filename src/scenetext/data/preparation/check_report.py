"""The result of a check as a person reads it: what `tools/prepare.py check` prints."""

from __future__ import annotations

from pathlib import Path

from scenetext.data.preparation.checks import RecordsCheck
from scenetext.text.charset import CharacterSet, describe

_CHARACTERS_SHOWN = 20
_WIDTH = 34


def check_report(path: Path, check: RecordsCheck, known: CharacterSet | None) -> list[str]:
    """Lines of a table, the first faults, and a verdict.

    Args:
        path: of the records file.
        known: a dictionary to hold the words against.
    """
    rows = [
        ("images", check.images),
        ("  missing", check.missing),
        ("  unreadable", check.unreadable),
        ("  of another size than recorded", check.other_size),
        ("broken lines", check.broken_lines),
        ("words", check.instances),
        ("  ignored", check.ignored),
        ("  of unknown text", check.untold),
        ("  without polygon", check.unplaced),
        ("polygons that cross themselves", check.crossing),
        ("polygons without area", check.flat),
        ("polygons outside the image", check.outside),
    ]
    lines = [str(path), *(f"  {name:<{_WIDTH}}{count:>9}" for name, count in rows)]
    lines += _characters(check, known)
    if check.faults:
        lines += ["  the first faults:", *(f"    {fault}" for fault in check.faults)]
    return [*lines, f"  {verdict(check)}"]


def verdict(check: RecordsCheck) -> str:
    """Whether a training could use the file as it is, and why not."""
    reasons = []
    if not check.images:
        reasons.append("it has no images")
    if check.broken_lines:
        reasons.append("lines are broken")
    if check.faulty_images:
        reasons.append(f"{check.faulty_images} of {check.images} images cannot be used")
    if check.is_all_ignored:
        reasons.append("every instance is ignored")
    return f"NOT USABLE as it is: {', '.join(reasons)}" if reasons else "usable"


def _characters(check: RecordsCheck, known: CharacterSet | None) -> list[str]:
    lines = [f"  {'different characters':<{_WIDTH}}{len(check.characters):>9}"]
    if known is None:
        return lines
    unknown = {one: count for one, count in check.characters.items() if not known.knows(one)}
    lines.append(f"  {'  unknown to the dictionary':<{_WIDTH}}{len(unknown):>9}")
    ordered = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
    lines += [f"    {describe(one)}: {count} times" for one, count in ordered[:_CHARACTERS_SHOWN]]
    if len(ordered) > _CHARACTERS_SHOWN:
        lines.append(f"    and {len(ordered) - _CHARACTERS_SHOWN} more")
    return lines
