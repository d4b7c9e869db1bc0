"""Short-term memory, slots that the text writes; long-term memory, learned concepts and episodes written on demand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import RMSNorm, precise
from ..scan import real_scan
from .branch import MAX_DECAY, Branch, accumulate, leak_bias, outer

SHARPNESS = 16.0                # of the match with long-term memory, at first: weights go with exp(16 cos)

Episodes = tuple[Tensor, Tensor]        # cues (B, E, K), answers (B, E) int64: what was written, oldest first


class ShortTermMemory(Branch):
    """Slots M_i <- (1 - g_i) M_i + g_i content, each gate g_i set by the token; reading is a softmax over the slots.

    State: the slots (B, slots * slot_dim).
    """

    LOCAL = ("out.weight",)

    def __init__(self, dim: int, slots: int, slot_dim: int, longest: float):
        super().__init__()
        self.slots, self.slot_dim, self.longest = slots, slot_dim, longest
        self.norm = RMSNorm(dim)
        self.into = nn.Linear(dim, 2 * slots + slot_dim)        # write, read, content
        self.out = nn.Linear(slot_dim, dim, bias=False)

    def initialise(self) -> None:
        nn.init.zeros_(self.into.bias)
        with torch.no_grad():
            self.into.bias[:self.slots] = leak_bias(self.slots, self.longest)

    def read(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, T, D), slots -> what is read (B, T, slot_dim), the slots after the last token."""
        write, read, content = precise(self.into(self.norm(x))).split([self.slots, self.slots, self.slot_dim], -1)
        keep = (MAX_DECAY * torch.sigmoid(-write))[..., None]                        # (B, T, slots, 1)
        written = (1 - keep) * content[:, :, None]                                   # (B, T, slots, slot_dim)
        held = real_scan(keep.expand_as(written).flatten(2), written.flatten(2), state)
        return (read.softmax(-1)[:, :, None] @ held.view_as(written))[:, :, 0], held[:, -1].clone()

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        found, state = self.read(x, state)
        return self.out(found.to(x.dtype)), state

    def learn(self, x: Tensor, error: Tensor) -> None:
        """The readout learns; where the text is written to and read from stays as it was drawn."""
        accumulate(self.out.weight, outer(error, self.read(x, None)[0]))


class LongTermMemory(Branch):
    """One softmax over learned concepts and written episodes, by the cosine of the token's cue.

    Concepts add to the stream. Episodes answer in tokens: `forward` returns their share of the weight, and who asks
    mixes the two (as the continuous cache of Grave et al. 2017 does). State: the episodes.
    """

    LOCAL = ("concepts",)

    def __init__(self, dim: int, concepts: int, concept_dim: int):
        super().__init__()
        self.norm = RMSNorm(dim)
        self.cue = nn.Linear(dim, concept_dim, bias=False)
        self.keys = nn.Parameter(torch.empty(concepts, concept_dim))
        self.concepts = nn.Parameter(torch.empty(concepts, dim))
        self.sharpness = nn.Parameter(torch.empty(()))

    def initialise(self) -> None:
        nn.init.normal_(self.keys)
        nn.init.normal_(self.concepts, std=0.02)
        nn.init.constant_(self.sharpness, SHARPNESS)

    def cues(self, x: Tensor) -> Tensor:
        """Unit vectors (B, T, K)."""
        return F.normalize(precise(self.cue(self.norm(x))), dim=-1)

    def match(self, x: Tensor, cues: Tensor | None) -> Tensor:
        """Weights (B, T, concepts + episodes)."""
        asked = self.cues(x)
        score = asked @ F.normalize(self.keys, dim=-1).T
        if cues is not None:
            score = torch.cat([score, asked @ cues.mT], -1)
        return (self.sharpness * score).softmax(-1)

    def forward(self, x: Tensor, state: Episodes | None = None):
        """(B, T, D), episodes -> (B, T, D), the weight of every episode (B, T, E) or None."""
        weight = self.match(x, None if state is None else state[0])
        learned, written = weight.split([len(self.keys), weight.shape[-1] - len(self.keys)], -1)
        return (learned @ self.concepts).to(x.dtype), None if state is None else written

    def learn(self, x: Tensor, error: Tensor) -> None:
        """Concepts learn; the keys by which they are found stay as they were drawn."""
        accumulate(self.concepts, outer(self.match(x, None), error))
