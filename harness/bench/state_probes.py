"""Probes of a state: what it holds, for how long, what disturbs it, and how much of it is used.

They see a model only as `forward(tokens, state) -> (logits, state)`, so they fit an associative memory, a recurrence
and a KV cache alike. A state is written once and then read again and again: each question is asked of that very state,
and no question can disturb another, as it does in a text that asks them in turn.

| probe        | what is written             | what is read from the state                                       |
|--------------|-----------------------------|-------------------------------------------------------------------|
| capacity     | N pairs KEY value, filler   | every value; in bits, the largest of N I(accuracy) over the loads |
| persistence  | one pair, then d of filler  | its value; the longest d at which half of the texts keep it       |
| interference | one pair, then others       | its value; the accuracy lost over filler of the same length       |
| rank         | texts of many pairs         | nothing: the effective rank of the states themselves              |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..data.abilities.mixture import KEYS, LETTERS, VALUES, VOCAB
from ..data.abilities.stream import Stream

Forward = Callable[..., tuple[Tensor, Any]]
DISTURBERS = 7                          # further pairs in `interference`


class Probes:
    """Probes of `forward` on `rows` texts each. All accuracies are shares of right answers, the likeliest token."""

    def __init__(self, forward: Forward, *, rows: int = 64, seed: int = 0, device: str = "cpu"):
        self.forward, self.rows, self.device = forward, rows, device
        self._stream = Stream("probes", "test", seed, 0)

    def pairs(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Distinct keys and independent values, (rows, n) int64 each, in the letters of the tasks."""
        keys = np.stack([1 + self._stream.distinct(KEYS, n) for _ in range(self.rows)])
        values = VOCAB // 2 + self._stream.below(VALUES, self.rows * n).reshape(self.rows, n)
        return LETTERS[keys], LETTERS[values]

    def filler(self, n: int) -> np.ndarray:
        return np.full((self.rows, n), LETTERS[0])

    def write(self, text: Any, state: Any = None) -> Any:
        """The state after a text (B, T), and after what it had read before."""
        return self.forward(torch.as_tensor(text, device=self.device), state)[1]

    def read(self, state: Any, keys: Any, values: Any) -> float:
        """Ask one state for every key (B, N): the share of answers that are the values (B, N)."""
        keys, values = (torch.as_tensor(x, device=self.device) for x in (keys, values))
        answers = [self.forward(key[:, None], state)[0][:, -1].argmax(-1) for key in keys.unbind(1)]
        return float((torch.stack(answers, 1) == values).double().mean())

    def capacity(self, loads: Sequence[int], seq_len: int = 0) -> tuple[float, dict[int, float]]:
        """Bits recalled at the best load, and the accuracy at every load.

        Filler follows the pairs, so that questions come where a text of `seq_len` tokens has just room for them.
        """
        found = {}
        for load in loads:
            keys, values = self.pairs(load)
            rest = self.filler(max(0, seq_len - 4 * load))
            found[load] = self.read(self.write(np.concatenate([interleave(keys, values), rest], 1)), keys, values)
        return max(load * information(share, VALUES) for load, share in found.items()), found

    def persistence(self, distances: Sequence[int]) -> tuple[int, dict[int, float]]:
        """The longest distance up to which one pair is read in at least half of the texts (0: none), and all of them.

        Distances are tokens from the value to the query, as in the task `needle`.
        """
        keys, values = self.pairs(1)
        state, at, found = self.write(interleave(keys, values)), 1, {}
        for distance in sorted(distances):
            if distance > at:
                state, at = self.write(self.filler(distance - at), state), distance
            found[distance] = self.read(state, keys, values)
        kept = 0
        for distance, share in found.items():
            if share < 0.5:
                break
            kept = distance
        return kept, found

    def interference(self, disturbers: int = DISTURBERS) -> float:
        """How much accuracy on the first pair `disturbers` further pairs cost, over filler of the same length."""
        keys, values = self.pairs(1 + disturbers)
        first = interleave(keys[:, :1], values[:, :1])
        others = interleave(keys[:, 1:], values[:, 1:])
        state = self.write(first)
        quiet = self.write(self.filler(2 * disturbers), state)
        question = keys[:, :1], values[:, :1]
        return self.read(quiet, *question) - self.read(self.write(others, state), *question)

    def rank(self, load: int) -> tuple[float, int]:
        """The effective rank of the states after `load` pairs, over texts, and the most that it could be.

        Constant states have rank 0. A model whose state holds no real numbers (a history of tokens) gives (0, 0).
        """
        states = flatten(self.write(interleave(*self.pairs(load))), self.rows)
        return effective_rank(states - states.mean(0)), min(self.rows - 1, states.shape[1])


def interleave(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(rows, n), (rows, n) -> (rows, 2n): a1 b1 a2 b2 …"""
    return np.stack([first, second], 2).reshape(len(first), -1)


def flatten(state: Any, rows: int) -> Tensor:
    """The real numbers of a state, (rows, n) float64."""
    leaves = [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor) and leaf.dim() > 0]
    leaves = [torch.view_as_real(leaf) if leaf.is_complex() else leaf for leaf in leaves if len(leaf) == rows]
    flat = [leaf.reshape(rows, -1).double().cpu() for leaf in leaves if leaf.is_floating_point()]
    return torch.cat([torch.zeros(rows, 0, dtype=torch.float64), *flat], 1)


def effective_rank(matrix: Tensor) -> float:
    """exp(-sum p log p) of the singular values divided by their sum: n for n equal ones, 0 for a matrix of zeros.

    Source: Roy and Vetterli 2007.
    """
    values = torch.linalg.svdvals(matrix.double()) if matrix.numel() else matrix.new_zeros(1)
    if not values.sum() > 0:
        return 0.0
    shares = values / values.sum()
    return float(torch.special.entr(shares).sum().exp())


def information(accuracy: float, symbols: int) -> float:
    """Bits about a uniform symbol that answers of this accuracy carry at least (Fano's inequality): 0 at chance."""
    if accuracy <= 1 / symbols:
        return 0.0
    wrong = 1 - accuracy
    if wrong == 0:
        return math.log2(symbols)
    entropy = -accuracy * math.log2(accuracy) - wrong * math.log2(wrong)
    return math.log2(symbols) - entropy - wrong * math.log2(symbols - 1)
