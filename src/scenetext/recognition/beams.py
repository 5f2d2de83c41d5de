"""Beam search over characters, for all regions at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(last ids (R, K), state (R, K, ...)) -> log-probabilities of the next ids (R, K, V), and the next state."""
NOTHING = -1
"""The id after the end of a reading."""


@dataclass(frozen=True, slots=True, eq=False)
class Beams:
    """The readings of R regions, K each, best first; those that are not possible have the probability 0.

    Attributes:
        ids: (R, K, T) int64, the end included, then `NOTHING`.
        probabilities: (R, K, T) float32, of each of these ids; 0 after the end.
        distributions: (R, K, T, V) float32, over all ids at every step, times the probability of all that was chosen
            before it; 0 after the end.
    """

    ids: Tensor
    probabilities: Tensor
    distributions: Tensor


def beam_search(
    step: Step, state: Tensor, start: int, end: int, beams: int, steps: int, best_only: bool = False
) -> Beams:
    """The likeliest readings: the greatest products of the probabilities of their ids, whatever their length.

    Readings that have ended stay among the K best as long as no longer one is better. The start is never read.

    Args:
        state: (R, ...) at the start.
        beams: K.
        steps: the most ids of a reading, the end included.
        best_only: stop when the best reading of every region has ended: nothing that follows can be likelier, but the
            other readings need not be complete.
    """
    regions = len(state)
    state = state[:, None].expand(-1, beams, *state.shape[1:])
    last = torch.full((regions, beams), start, device=state.device)
    total = state.new_full((regions, beams), -torch.inf)
    total[:, 0] = 0
    ids: list[Tensor] = []
    chosen: list[Tensor] = []
    distributions: list[Tensor] = []
    for _ in range(steps):
        ended = last == end
        log_probabilities, state = step(torch.where(ended, start, last), state)
        allowed = log_probabilities.clone()
        allowed[..., start] = -torch.inf
        allowed[ended] = -torch.inf
        allowed[..., end] = torch.where(ended, 0.0, allowed[..., end])  # what has ended goes on as it is
        best = (total[..., None] + allowed).flatten(1).topk(beams)
        beam, identity = best.indices // allowed.shape[2], best.indices % allowed.shape[2]
        going = ~ended.gather(1, beam)
        before = total.gather(1, beam).exp()
        reached = _of(log_probabilities, beam)
        probability = reached.gather(2, identity[..., None])[..., 0].exp()
        ids, chosen, distributions = ([_of(each, beam) for each in history] for history in (ids, chosen, distributions))
        ids.append(torch.where(going, identity, NOTHING))
        chosen.append(probability * going)
        distributions.append(reached.exp() * (before * going)[..., None])
        state, last, total = _of(state, beam), identity, best.values
        if bool((last[:, : 1 if best_only else beams] == end).all()):
            break
    return Beams(torch.stack(ids, dim=2), torch.stack(chosen, dim=2), torch.stack(distributions, dim=2))


def _of(values: Tensor, beam: Tensor) -> Tensor:
    """values (R, K, ...) of the beams (R, K) that go on."""
    return values[torch.arange(len(values), device=beam.device)[:, None], beam]
