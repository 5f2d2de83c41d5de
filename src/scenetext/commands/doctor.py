"""Says whether this machine is ready: versions, devices, GPU kernels, optional extras, one verdict."""

from __future__ import annotations

from scenetext.commands.command_line import command_parser
from scenetext.inspection.machine import run_checks, verdict

SIGNS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


def main() -> int:
    parser = command_parser(__doc__ or "", "  python tools/doctor.py")
    parser.parse_args()
    checks = run_checks()
    for check in checks:
        print(f"{SIGNS[check.status]}  {check.name}: {check.detail}")
    print()
    print(verdict(checks))
    return 1 if any(check.status == "problem" for check in checks) else 0
