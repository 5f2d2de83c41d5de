"""The spatial attentional module, which reads a text character by character (section 3.4; Mask TextSpotter, TPAMI)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.spotters.mask_textspotter.beams import beam_search
from scenetext.spotters.mask_textspotter.config import ReadingSettings

START = 0
"""Id before the first character; ids of characters follow, and that of the end is the last."""
UNKNOWN = -1
"""What is asked for at a step that is not learnt from."""


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

    def __init__(self, settings: ReadingSettings, channels: int, characters: int) -> None:
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
        height, width = self.settings.size
        sized = F.interpolate(features, size=(2 * height, 2 * width), mode="bilinear")
        return F.max_pool2d(F.relu(self.encoder(sized)), 2)

    def forward(self, features: Tensor, fed: Tensor | None) -> dict[str, Tensor]:
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
