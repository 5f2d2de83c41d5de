"""A detector's network in several ways of computing it, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from scenetext.benchmark.measurements import Measurement, counted, measured, timed
from scenetext.contracts import Maps
from scenetext.tasks.detection import DetectionTask

Clock = Callable[[Callable[[], object], torch.device], float]


@torch.no_grad()
def compare_ways(
    ways: Mapping[str, DetectionTask], size: tuple[int, int], rounds: int, clock: Clock = timed
) -> dict[str, list[Measurement]]:
    """The time of one image, in alternation, and how far maps are from those of the first way.

    Args:
        ways: tasks with the same weights, ready to be used, by name.
        size: (height, width) of the image, which is noise.
        rounds: samples of each time; a round before the first warms up.
        clock: seconds of an action on a device, such as `timed`.
    """
    image = torch.randint(256, (1, 3, *size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    image = image.contiguous(memory_format=torch.channels_last)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, task in ways.items():
            sample = clock(partial(task.maps, image), image.device)
            if number:
                seconds[name].append(sample)
    first = next(iter(ways.values())).maps(image)
    threads = torch.get_num_threads()
    return {
        name: [
            measured(f"forward on {threads} threads", [1000 * each for each in seconds[name]], "ms"),
            counted("largest difference of maps", largest_difference(first, task.maps(image)), "of the largest value"),
        ]
        for name, task in ways.items()
    }


def ways_table(ways: Mapping[str, list[Measurement]]) -> str:
    """Markdown, a row for every way, with its time as a share of the first one's."""
    first = next(iter(ways.values()))
    titles = f"| way | {first[0].name}, {first[0].unit} | share | {first[1].name}, {first[1].unit} |"
    lines = [titles, "|---|---:|---:|---:|"]
    for name, (time, difference) in ways.items():
        spread = f"{time.value:.0f} ({time.low:.0f} to {time.high:.0f})"
        lines.append(f"| {name} | {spread} | {time.value / first[0].value:.2f} | {difference.value:.1e} |")
    return "\n".join(lines)


def largest_difference(expected: Maps, found: Maps) -> float:
    """Over the maps of the network itself (not of stages), as a share of the largest value of each."""

    def share(one: Tensor, other: Tensor) -> float:
        return float((one.float() - other.float()).abs().max() / one.float().abs().max().clamp(min=1e-12))

    names = [name for name in found if "." not in name]
    return max(share(expected[name], found[name]) for name in names)
