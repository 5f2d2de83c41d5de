"""The refinement of TextBPN++: a Transformer over the points of boundaries (section III-C)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.detectors.textbpn.refinement import NODE_CHANNELS, WIDTH, initialise_point_convolutions
from scenetext.layers.transformer import Attention

HEADS = 8
BLOCKS = 3
MLP_WIDTH = 1024
DEVIATION = 0.02
"""Standard deviation of initial weights of the convolutions along boundaries."""


class AttentionBlock(nn.Module):
    """Attention and MLP over normalised tokens; what they make is added to the tokens once more, as published."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(WIDTH)
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.attention = Attention(WIDTH, HEADS)
        self.norm_mlp = nn.LayerNorm(WIDTH)
        self.expand = nn.Linear(WIDTH, MLP_WIDTH)
        self.contract = nn.Linear(MLP_WIDTH, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, S, 128) -> (B, S, 128)."""
        normal = self.norm_attention(tokens)
        query, key, value = (F.relu(linear(normal)) for linear in (self.query, self.key, self.value))
        mixed = tokens + self.attention(query, key, value)
        return tokens + mixed + self.contract(F.relu(self.expand(self.norm_mlp(mixed))))


class TransformerStep(nn.Module):
    """One refinement of TextBPN++ (figure 5): three blocks of attention, and each point alone.

    Args:
        dropout: of the first layer that comes before the moves.
        over_proposals: whether points attend to those of the same number in all other boundaries, instead of to the
            others of their boundary.
    """

    def __init__(self, dropout: float, over_proposals: bool) -> None:
        super().__init__()
        self.over_proposals = over_proposals
        self.norm = nn.BatchNorm1d(NODE_CHANNELS, affine=False)
        self.embed = nn.Linear(NODE_CHANNELS, WIDTH)
        self.blocks = nn.Sequential(*(AttentionBlock() for _ in range(BLOCKS)))
        self.alone = nn.Conv1d(NODE_CHANNELS, WIDTH, 1)
        self.predict = nn.Sequential(
            *(nn.Conv1d(2 * WIDTH, WIDTH, 1), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Conv1d(WIDTH, WIDTH // 2, 1), nn.ReLU()),
            nn.Conv1d(WIDTH // 2, 2, 1),
        )
        initialise_point_convolutions(self, DEVIATION)

    def forward(self, nodes: Tensor) -> Tensor:
        """nodes: (N, 36, 20), to moves (N, 2, 20)."""
        nodes = self.norm(nodes)
        tokens = self.embed(nodes.transpose(1, 2))
        tokens = self.blocks(tokens.transpose(0, 1)).transpose(0, 1) if self.over_proposals else self.blocks(tokens)
        moves: Tensor = self.predict(torch.cat((tokens.transpose(1, 2), self.alone(nodes)), dim=1))
        return moves
