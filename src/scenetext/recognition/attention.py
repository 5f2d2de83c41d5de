"""The spatial attentional module (SAM), which reads a text character by character (Mask TextSpotter, TPAMI 2019)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from scenetext.config import Settings
from scenetext.recognition.beams import beam_search
from scenetext.recognition.encoded_map import encoded_map
from scenetext.recognition.recognizer import Reading

START = 0
"""Id before the first character; ids of characters follow, and that of the end is the last."""
UNKNOWN = -1
"""What is asked for at a step that is not learnt from."""


class AttentionSettings(Settings):
    """Sizes of the module, and how it reads."""

    size: tuple[PositiveInt, PositiveInt] = (8, 32)
    """(height, width) of the map that it looks at."""
    channels: PositiveInt = 256
    """Of the map, of the state and of the attention."""
    steps: int = Field(default=32, ge=2)
    """The most characters of a text, the end included. Longer texts are not learnt from."""
    beams: PositiveInt = 6
    """Readings that are followed at a time."""
    codes: Literal["fixed", "learnt"] = "fixed"
    """Codes of places and characters: one-hot, or learnt, as in the published weights."""


class AttentionReader(nn.Module):
    """Features of regions to texts: at every step it looks at one place of the map and names a character.

    Args:
        settings: sizes, beams and codes.
        channels: of the features.
        characters: C, of the alphabet; ids are 1 to C, `START` and the end C + 1.
    """

    columns: Tensor
    rows: Tensor
    codes: Tensor

    def __init__(self, settings: AttentionSettings, channels: int, characters: int) -> None:
        super().__init__()
        self.settings = settings
        self.end = characters + 1
        height, width = settings.size
        hidden = settings.channels
        seen = hidden + height + width
        self.encoder = nn.Conv2d(channels, hidden, 3, padding=1)
        self.word = nn.Linear(characters + 2, hidden)
        self.attention = nn.Linear(hidden + seen, hidden)
        self.score = nn.Parameter(torch.randn(hidden) / math.sqrt(hidden))
        self.cell = nn.GRUCell(hidden + seen, hidden)
        self.classes = nn.Linear(hidden, characters + 2)
        for name, parameter in self.named_parameters():
            if name.endswith("bias") or name.endswith(("bias_ih", "bias_hh")):
                nn.init.zeros_(parameter)
            elif parameter.dim() > 1:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")
        for name, count in (("columns", width), ("rows", height), ("codes", characters + 2)):
            self._add_code(name, count)

    def _add_code(self, name: str, count: int) -> None:
        """A table of codes: one-hot, or the start of what is learnt."""
        if self.settings.codes == "fixed":
            self.register_buffer(name, torch.eye(count))
            return
        self.register_parameter(name, nn.Parameter(torch.empty(count, count)))
        nn.init.kaiming_normal_(getattr(self, name), mode="fan_out", nonlinearity="relu")

    def encode(self, features: Tensor) -> Tensor:
        """features: (R, channels, h, w), to the map that is looked at, (R, hidden, height, width)."""
        return encoded_map(features, self.encoder, self.settings.size)

    def forward(self, features: Tensor, fed: Tensor | None = None) -> dict[str, Tensor]:
        """Reads regions.

        Args:
            features: (R, channels, h, w).
            fed: (R, T) int64, the id before every step; None = what was read.

        Returns:
            With `fed`: steps (R, T, C + 2), log-probabilities of the next id.
            Without: ids (R, T) int64, the best reading, the end included and -1 after it; probabilities (R, T) of
            these; distributions (R, T, C + 2), see `Beams`.
        """
        places = self.places(self.encode(features))
        # Few multiplications, many steps: in float32, whatever the rest is computed in.
        with torch.autocast(places.device.type, enabled=False):
            places = places.float()
            keys = F.linear(places, self.attention.weight[:, self.settings.channels :].float(), self.attention.bias)
            state = places.new_zeros((len(places), self.settings.channels))
            if fed is not None:
                return {"steps": self._follow(fed, state, places, keys)}
            beams, steps = self.settings.beams, self.settings.steps
            found = beam_search(
                lambda ids, states: self.step(ids, states, places, keys)[:2], state, START, self.end, beams, steps, True
            )
        best = {"ids": found.ids, "probabilities": found.probabilities, "distributions": found.distributions}
        return {name: value[:, 0] for name, value in best.items()}

    def places(self, encoded: Tensor) -> Tensor:
        """The map (R, hidden, height, width) as a list with codes of column and row, (R, places, hidden + codes)."""
        height, width = self.settings.size
        codes = torch.cat((self.columns.repeat(height, 1), self.rows.repeat_interleave(width, dim=0)), dim=1)
        listed = encoded.flatten(2).transpose(1, 2)
        return torch.cat((listed, codes.to(listed).expand(len(listed), -1, -1)), dim=2)

    def step(self, ids: Tensor, states: Tensor, places: Tensor, keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step of K readings in each region.

        Args:
            ids, states: (R, K) and (R, K, hidden), after the last step.
            places: (R, P, D), what is looked at.
            keys: (R, P, hidden), their share in the attention, which is the same at every step.

        Returns:
            Log-probabilities (R, K, C + 2), states (R, K, hidden), and attention (R, K, P).
        """
        query = F.linear(states, self.attention.weight[:, : self.settings.channels])
        attention = ((query[:, :, None] + keys[:, None]).tanh() @ self.score).softmax(dim=2)
        inputs = torch.cat((self.word(self.codes[ids]), attention @ places), dim=2)
        states = self.cell(inputs.flatten(0, 1), states.flatten(0, 1)).view_as(states)
        return self.classes(states).log_softmax(dim=2), states, attention

    def _follow(self, fed: Tensor, state: Tensor, places: Tensor, keys: Tensor) -> Tensor:
        """Log-probabilities (R, T, C + 2) where the ids before every step are given."""
        states, steps = state[:, None], []
        for ids in fed.unbind(dim=1):
            found, states, _ = self.step(ids[:, None], states, places, keys)
            steps.append(found[:, 0])
        return torch.stack(steps, dim=1)


@dataclass(frozen=True, slots=True)
class AttentionRecognizer:
    """A `Recognizer` that reads one character after the other, of C in the alphabet, in a number of steps at most."""

    steps: int
    characters: int

    fed: ClassVar[str] = "fed"
    outputs: ClassVar[tuple[str, ...]] = ("ids", "probabilities", "distributions")

    def fits(self, ids: Sequence[int]) -> bool:
        """Whether there is a step for every character, and one for the end."""
        return len(ids) < self.steps

    def targets(self, ids: Tensor, length: Tensor) -> dict[str, Tensor]:
        """fed and asked, (N, steps) int64 each: see `sequence_targets`."""
        fed, asked = sequence_targets(ids, length, self.steps, self.characters + 1)
        return {"fed": fed, "asked": asked}

    def loss(self, found: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """`sequence_loss` of the valid regions."""
        return sequence_loss(found["steps"], torch.where(valid[..., None], found["asked"], UNKNOWN))

    def read(self, outputs: Mapping[str, np.ndarray]) -> Reading:
        """The best reading.

        Args:
            outputs: ids (T,), the end included, then -1; probabilities (T,) of these; distributions (T, C + 2).

        Returns:
            Its score is the mean of the probabilities, that of the end included, so that of nothing is how sure the
            end was; its probabilities are those of each character, times that of all that was read before it.
        """
        ids = outputs["ids"]
        steps = int((ids >= 0).sum())
        length = int(((ids >= 1) & (ids <= self.characters)).sum())
        score = float(outputs["probabilities"][:steps].mean()) if steps else 0.0
        return Reading(tuple(ids[:length].astype(int).tolist()), score, outputs["distributions"][:length, 1:-1])


def sequence_targets(ids: Tensor, length: Tensor, steps: int, end: int) -> tuple[Tensor, Tensor]:
    """What is fed at every step, and what is asked for.

    Args:
        ids: (N, L) int64, padded.
        length: (N,) int64, below `steps`; 0 and less = the text is not known.

    Returns:
        (N, steps) int64 each: the start, the characters and ends; the characters, one end, and `UNKNOWN`.
    """
    position = torch.arange(steps, device=ids.device)
    length = length[:, None]
    padded = F.pad(ids, (0, max(0, steps - ids.shape[1])))[:, :steps]
    asked = torch.where(position < length, padded, torch.where(position == length, end, UNKNOWN))
    asked = torch.where(length > 0, asked, UNKNOWN)
    fed = torch.where(position < length, padded, end).roll(1, dims=1)
    fed[:, 0] = START
    return fed, asked


def sequence_loss(steps: Tensor, asked: Tensor) -> Tensor:
    """Mean over the regions of known text of the negative log-likelihood of the text.

    Args:
        steps: (..., T, V) log-probabilities.
        asked: (..., T) int64, `UNKNOWN` where nothing is asked for.
    """
    known = asked != UNKNOWN
    likelihood = steps.float().gather(-1, asked.clamp(min=0)[..., None])[..., 0]
    return -torch.where(known, likelihood, 0).sum() / known.any(dim=-1).sum().clamp(min=1)
