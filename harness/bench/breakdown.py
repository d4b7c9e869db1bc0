"""Where the bits of a score go: sums over kinds of targets, which part the score, so that they add up to the whole.

A token that stands for several bytes is of the kind of its first byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..data.familiarity import RANKED, SEEN, Familiarity
from .score import Score


@dataclass(frozen=True)
class Part:
    """Of one kind of targets: bits and bytes of each document that has any, (documents,)."""

    name: str
    bits: np.ndarray
    bytes: np.ndarray


def by_position(score: Score) -> list[Part]:
    """By place in the window, in octaves: 0, 1, 2-3, 4-7, …, as far as the window goes."""
    octave = np.frexp(score.position)[1]                            # of 0, 1, 2 … 3, 4 … 7: 0, 1, 2, 3
    firsts = [0, *(1 << k for k in range((score.window - 1).bit_length()))]
    lasts = [0, *(min(2 * first, score.window) - 1 for first in firsts[1:])]
    names = [f"position_{a}" if a == b else f"position_{a}-{b}" for a, b in zip(firsts, lasts, strict=True)]
    return list(_parts(score, octave, names))


def by_familiarity(score: Score, texts: Sequence[bytes], familiarity: Familiarity) -> list[Part]:
    """By how frequent a target's word is in training text, and by whether it stands in a 13-gram that was seen there.

    `texts` are the documents that were scored.
    """
    first = np.cumsum(score.target_bytes) - score.target_bytes
    return [*_parts(score, familiarity.ranks(texts)[first], RANKED),
            *_parts(score, familiarity.seen(texts)[first], SEEN)]


def _parts(score: Score, kind: np.ndarray, names: Sequence[str]) -> Iterator[Part]:
    """What there is of each kind, indices (n,) into `names`."""
    for index, name in enumerate(names):
        chosen = kind == index
        sizes = score.by_document(score.target_bytes, chosen)
        if (some := sizes > 0).any():
            yield Part(name, score.by_document(score.target_bits, chosen)[some], sizes[some])
