"""The texts an audit reads: how they are drawn, where they are changed and where they are cut."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

STEPS = 4                       # tokens fed one at a time after a prompt


class Texts:
    """Token batches: even rows are random, odd ones real text where there is some."""

    def __init__(self, vocab_size: int, corpus: Tensor | None, device: torch.device, seed: int):
        self.generator = torch.Generator().manual_seed(seed)
        self.device, self.vocabulary = device, torch.arange(vocab_size)
        self.corpus = corpus.detach().cpu().long() if corpus is not None and corpus.numel() else None
        alphabet = self.vocabulary if self.corpus is None else self.corpus.unique()
        self.alphabets = [self.vocabulary, alphabet if len(alphabet) > 1 else self.vocabulary]
        self.values = [itertools.cycle(a[self.permutation(len(a))].tolist()) for a in self.alphabets]

    def permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator)

    def row(self, index: int, length: int) -> Tensor:
        """(length,) tokens. Random ones repeat none before all have come. Text is from anywhere behind the first token
        of the corpus, which is the one that begins a text where the tokenizer has such a token."""
        if index % 2 == 0 or self.corpus is None:
            n = len(self.vocabulary)
            return torch.cat([self.vocabulary[self.permutation(n)] for _ in range(-(-length // n))])[:length]
        start, n = int(torch.randint(len(self.corpus), (1,), generator=self.generator)), len(self.corpus)
        text = self.corpus[(start + torch.arange(length)) % n]
        text[0] = self.corpus[0]
        return text

    def batch(self, rows: int, length: int) -> Tensor:
        return torch.stack([self.row(index, length) for index in range(rows)]).to(self.device)

    def changed(self, tokens: Tensor, starts: Sequence[int]) -> Tensor:
        """A copy of (B, T) in which the tokens of row r from `starts[r]` on are others.

        The first of them takes all values in turn, so that a leak of a single value is met. The rest differs everywhere
        or, half of the time, is one value throughout: what is looked up in the future is then not found there.
        """
        changed = tokens.cpu().clone()
        for index, start in enumerate(starts):
            alphabet, row = self.alphabets[index % 2], changed[index, start:]
            if not len(row):
                continue
            value = next(v for v in self.values[index % 2] if v != row[0])
            if torch.rand((), generator=self.generator) < 0.5:
                row[:] = value
            else:
                shift = torch.randint(1, len(alphabet), row.shape, generator=self.generator)
                row[:] = alphabet[(torch.searchsorted(alphabet, row.contiguous()) + shift) % len(alphabet)]
                row[0] = value
        return changed.to(self.device)


def suffix_starts(length: int) -> list[int]:
    """Where suffixes are changed: every place of a short text; else just past every power of two, near both ends, and
    with an odd stride, so that every residue of 16 occurs and no regular block goes untested."""
    if length <= 64:
        return list(range(1, length))
    count = 32 if length <= 512 else 16
    stride = (length - 2) // count
    stride -= 1 - stride % 2
    spread_out = range(length - 1, length - 1 - count * stride, -stride)
    powers = (2**n + 1 for n in range(length.bit_length()) if 2**n + 1 < length)
    return sorted({1, length - 2, length // 2, *powers, *spread_out})


def split_plans(length: int) -> list[tuple[int, ...]]:
    """Places at which a text is cut: into two, three, and into a prompt, single tokens and a rest."""
    third, two_thirds = length // 3 | 1, 2 * length // 3 | 1
    prompts = (1, length // 2 + 3, length - STEPS)
    cuts = (1, 2, third, length // 2, length // 2 + 2, two_thirds, length - 1)
    plans = [*((cut,) for cut in cuts), (third, two_thirds)]
    plans += [tuple(range(prompt, prompt + STEPS)) for prompt in prompts]
    inside = (tuple(sorted({cut for cut in plan if 0 < cut < length})) for plan in plans)
    return sorted({plan for plan in inside if plan})
