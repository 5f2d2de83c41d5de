"""Checks of a run's data before it starts: broken lines and too many faulty images stop it, the rest is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scenetext.data.preparation.check_cache import checked_records
from scenetext.data.preparation.checks import RecordsCheck
from scenetext.errors import DataError
from scenetext.runs.settings import DataSettings


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What the checks of a run's files found.

    Attributes:
        files: by records file; none where nothing was checked.
        remarks: what is worth telling.
    """

    files: Mapping[Path, RecordsCheck]
    remarks: tuple[str, ...]


def check_run_files(data: DataSettings) -> DataCheck:
    """Checks every records file of a run once; nothing where `data.check` is off.

    Raises:
        DataError: a file cannot be read, has broken lines, or more faulty images than `data.maximum_faulty_share`
            allows; they are counted, and the first ones listed.
    """
    checks: dict[Path, RecordsCheck] = {}
    remarks: list[str] = []
    for path in dict.fromkeys([*(one.records for one in data.train), *data.validation] if data.check else []):
        check = checks[path] = checked_records(path, data.check_folder, remarks.append)
        _refuse(path, check, data.maximum_faulty_share)
        remarks += _remarks(path, check)
    return DataCheck(checks, tuple(remarks))


def describe_faulty_images(check: RecordsCheck) -> str:
    """How many images cannot be learnt from, and why."""
    return (
        f"{check.faulty_images} of {check.images} images cannot be used: {check.missing} missing, "
        f"{check.unreadable} unreadable, {check.other_size} of another size than their record says"
    )


def _refuse(path: Path, check: RecordsCheck, maximum_share: float) -> None:
    listed = "".join(f"\n  {fault}" for fault in check.faults)
    if check.broken_lines:
        raise DataError(f"{check.broken_lines} lines are broken; the first faults:{listed}", path)
    if check.faulty_images > maximum_share * check.images:
        raise DataError(
            f"{describe_faulty_images(check)}, more than data.maximum_faulty_share = {maximum_share:g} allows; "
            f"the first:{listed}",
            path,
        )


def _remarks(path: Path, check: RecordsCheck) -> list[str]:
    remarks = []
    if check.faulty_images:
        listed = "".join(f"\n  {fault}" for fault in check.faults)
        remarks.append(f"warning: {path}: {describe_faulty_images(check)}; the first:{listed}")
    odd = {"cross themselves": check.crossing, "have no area": check.flat, "lie outside the image": check.outside}
    if any(odd.values()):
        counts = ", ".join(f"{count} {what}" for what, count in odd.items() if count)
        remarks.append(f"warning: {path}: of the polygons, {counts}")
    return remarks
