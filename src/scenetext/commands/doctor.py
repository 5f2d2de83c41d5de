"""Says whether this machine is ready: versions, devices, GPU kernels, optional extras, one verdict."""

from __future__ import annotations

import argparse

EXAMPLES = """\
  scenetext doctor
"""
SIGNS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(arguments: argparse.Namespace) -> int:
    from scenetext.inspection.machine import run_checks, verdict

    checks = run_checks()
    for check in checks:
        print(f"{SIGNS[check.status]}  {check.name}: {check.detail}")
    print()
    print(verdict(checks))
    return 1 if any(check.status == "problem" for check in checks) else 0
