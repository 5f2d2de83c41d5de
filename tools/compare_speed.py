"""Measures how fast detectors are beside each other: evaluation of one image, and training steps.

All run in this process on the same noise, one after the other in every round, and are compared within the round: so the
ratios hold where the machine is shared. No data and no weights are read. Evaluation is the network alone, without
decoding.
"""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import torch

from scenetext.benchmark.figures import timed
from scenetext.benchmark.turns import Pace, evaluation_pace, processor_seconds, training_pace
from scenetext.build import build_task
from scenetext.command_line import command_parser, run_command
from scenetext.runs import load_run
from scenetext.tasks.detection import DetectionTask
from scenetext.training.device import resolve_device

EXAMPLES = """\
  python tools/compare_speed.py configs/detectors/dbnet/icdar2015_scratch.yaml \\
      configs/tcm/tcm_dbnet_icdar2015.yaml configs/tcm/fasttcm_dbnet_icdar2015.yaml --threads 2
"""
CLOCKS = {"wall": timed, "processor": processor_seconds}
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(__doc__ or "", EXAMPLES)
    parser.add_argument(
        "configs", type=Path, nargs="+", help="run files of detectors; the first is what others are compared with"
    )
    parser.add_argument("--size", type=int, default=640, help="side of the images, pixels")
    parser.add_argument(
        "--rounds", type=int, default=10, help="rounds of evaluation; in each, every detector has a turn"
    )
    parser.add_argument("--training-rounds", type=int, default=3, help="rounds of training steps; 0 = none")
    parser.add_argument("--batch", type=int, default=2, help="images of a training step")
    parser.add_argument("--threads", type=int, help="of the CPU; default: torch's")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="autocast of both")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="processor: time that threads are busy, for a machine that others keep busy (with --threads 1)",
    )
    parser.add_argument("--compile", action="store_true", help="compile encoders and heads first")
    return parser.parse_args()


def build(path: Path, device: torch.device, compiled: bool) -> DetectionTask:
    task = build_task(load_run(path, [], "detection"))
    if not isinstance(task, DetectionTask):
        raise TypeError("a run of kind detection builds a DetectionTask")
    task.to(device).to(memory_format=torch.channels_last)
    for part in task.compiled_parts() if compiled else ():
        part.compile()
    return task


def table(paces: list[Pace], images: int, training: bool) -> str:
    """A row for every detector: medians with the smallest and the largest round."""
    memory = " kept for backward, MiB | peak memory, MiB |" if training else ""
    what = f"training step of {images}, ms" if training else "evaluation, ms"
    lines = [
        f"| detector | {what} | images/s | speed / {paces[0].name} | GFLOP an image, forward |{memory}",
        "|---|---:|---:|---:|---:|" + "---:|" * (2 * training),
    ]
    for pace in paces:
        times = sorted(1000 * each for each in pace.seconds)
        spread = f"{1000 / pace.speed:.4g} ({times[0]:.4g} to {times[-1]:.4g})"
        ratio = f"{pace.ratio:.3f} ({min(pace.ratios):.2f} to {max(pace.ratios):.2f})"
        columns = f"{spread} | {images * pace.speed:.3g} | {ratio} | {pace.operations:.1f} |"
        lines.append(f"| {pace.name} | {columns}" + (f" {pace.kept:.0f} | {pace.peak:.0f} |" if training else ""))
    return "\n".join(lines)


def main() -> None:
    arguments = parse_arguments()
    device = resolve_device(arguments.device)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    kind = PRECISIONS[arguments.precision]
    precision, clock = partial(autocast, device, kind), CLOCKS[arguments.clock]
    tasks = {path.stem: build(path, device, arguments.compile) for path in arguments.configs}
    print(
        f"{device}, {arguments.precision}, {torch.get_num_threads()} threads, {arguments.clock} clock, "
        f"{arguments.size} pixels"
    )
    print(table(evaluation_pace(tasks, arguments.size, arguments.rounds, device, precision, clock), 1, training=False))
    if arguments.training_rounds:
        paces = training_pace(
            tasks, arguments.size, arguments.batch, arguments.training_rounds, device, precision, clock
        )
        print(table(paces, arguments.batch, training=True))


def autocast(device: torch.device, kind: torch.dtype | None) -> AbstractContextManager[object]:
    return torch.autocast(device.type, dtype=kind, enabled=kind is not None)


if __name__ == "__main__":
    run_command(main)
