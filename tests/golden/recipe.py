"""What the golden values are of: weights and texts by formula, so that the files hold results alone.

A number depends on a name and its place in the array: the raw 64 bits that Philox draws from the hash of the name,
which NumPy promises to keep, as a uniform number between -1 and 1.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

RATE = 0.3              # of the one step of plain gradient descent


def draw(name: str, *shape: int) -> Tensor:
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    raw = np.random.Philox(key=key).random_raw(math.prod(shape))
    return torch.from_numpy((raw >> np.uint64(11)) * 2.0**-52 - 1.0).reshape(shape)


def text(batch: int, length: int, vocabulary: int) -> Tensor:
    """Token 0 and the last one are among them."""
    tokens = ((draw("text", batch, length) + 1) / 2 * vocabulary).long()
    tokens[0, :2] = torch.tensor([0, vocabulary - 1])
    return tokens


@contextmanager
def random_by_formula() -> Iterator[None]:
    """Meanwhile what torch draws depends on the shape alone: what dropout drops, an order of so many, normal numbers,
    which are uniform ones of that variance."""
    def normal(*shape: Any, **_: Any) -> Tensor:
        sizes = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return math.sqrt(3) * draw(f"normal {tuple(sizes)}", *sizes)

    def dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        kept = (draw(f"dropped of {tuple(x.shape)}", *x.shape) + 1) / 2 >= p
        return x * kept / (1 - p) if training and p else x

    with mock.patch("torch.nn.functional.dropout", dropout), mock.patch.multiple(
            torch, randn=normal, randn_like=lambda x: normal(*x.shape), rand=lambda *_, **__: torch.tensor(0.3),
            randperm=lambda count, **_: draw(f"order of {count}", count).argsort()):
        yield


def sketch(name: str, value: Tensor) -> Tensor:
    """Two sums of a tensor with signs and sizes by formula: where any of its numbers is another, so are they."""
    return draw(f"sketch of {name}", 2, value.numel()) @ value.detach().double().flatten()


PHASEFIELD = {"dim": 6, "layers": 2, "slots": 40, "concepts": 9, "context": 4, "patch": 0, "episodic": False,
              "dropout": 0.0, "energy": 0.0, "size": 0.4, "vocabulary": 7, "length": 20, "cut": 13, "step": True}
WAVES = (2, 2, 9, 5)    # batch, heads, tokens, channels
KEPT = ("advanced_phase_coherence.scales", "advanced_phase_coherence.context_window")    # weights that are settings
BRAIN = {"dim": 8, "layers": 2, "slots": 5, "concepts": 7, "concept_dim": 4, "size": 0.4, "vocabulary": 7, "length": 20,
         "cut": 0, "step": True}
ROTATOR = {"dim": 8, "layers": 2, "heads": 2, "positions": 20, "global_tokens": 3, "lora_rank": 2, "lora_alpha": 5.0,
           "coherence": 0.1, "size": 0.4, "vocabulary": 7, "length": 17, "cut": 0, "step": True}
SUPERPOSITION = {"dim": 8, "layers": 2, "heads": 2, "phases": 4, "concepts": 512, "concept_dim": 16, "positions": 24,
                 "energy": 0.01, "coherence": 0.005, "concept": 0.001, "size": 0.2, "vocabulary": 7, "length": 20,
                 "cut": 0, "step": True}
BANKS = ("semantic", "context", "language", "morphology", "orthography", "emotion")
CASES = {
    "v4": {
        **{bank: {**PHASEFIELD, "banks": (bank,)} for bank in BANKS},
        "bankless": {**PHASEFIELD, "banks": (), "energy": 0.02},
        "banks": {**PHASEFIELD, "banks": BANKS},
        "short": {**PHASEFIELD, "banks": ("semantic", "context"), "episodic": True, "step": False},
        "long": {**PHASEFIELD, "banks": ("semantic", "context"), "episodic": True, "length": 140, "cut": 131},
        "dropout": {**PHASEFIELD, "banks": BANKS[:4], "dropout": 0.4, "length": 9, "cut": 0},
        "patches": {**PHASEFIELD, "banks": ("semantic", "context"), "patch": 4, "vocabulary": 257, "length": 6,
                    "cut": 0},
    },
    "v2old": {"globals": ROTATOR, "plain": {**ROTATOR, "global_tokens": 0, "lora_rank": 0}},
    "v2": {"narrow": SUPERPOSITION, "wide": {**SUPERPOSITION, "size": 1.0, "length": 13}},
    "v3": {"quiet": BRAIN, "loud": {**BRAIN, "size": 1.5}},
}
