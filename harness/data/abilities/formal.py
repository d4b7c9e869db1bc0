"""Parity and modular arithmetic: one answer, at the end of a string of random length. (no torch)

Specification: Deletang et al. 2023, Neural Networks and the Chomsky Hierarchy; sizes as in Beck et al. 2024 (xLSTM) and
Grazzi et al. 2025, who train on 3 … 40 tokens and test on 40 … 256. Both are regular languages. A linear recurrence
whose eigenvalues are all positive cannot compute parity at every length (Grazzi et al. 2025, theorem 1). What follows
the answer is padding, which a causal model does not see.
"""

from __future__ import annotations

import numpy as np

from ...errors import UsageError
from .stream import IGNORED, Stream, Text

MODULUS = 5
PLUS, MINUS, TIMES, EQUALS = range(MODULUS, MODULUS + 4)


def parity(stream: Stream, *, shortest: int, length: int) -> Text:
    """Bits; padding is 2. The answer, at the last bit, is whether their sum is odd."""
    n = _drawn_length(stream, shortest, length)
    bits = stream.below(2, n)
    return _answered(bits, int(bits.sum()) % 2, length, pad=2)


def modular_arithmetic(stream: Stream, *, shortest: int, length: int) -> Text:
    """Digits 0 … 4 with + - * between them, then =, padding is 9: the answer, at =, is the value modulo 5.

    Products come before sums, as usual. A string has an even number of tokens, = among them.
    """
    n = _drawn_length(stream, (shortest + 1) // 2, length // 2)
    digits, signs = stream.below(MODULUS, n), PLUS + stream.below(3, n)
    signs[-1] = EQUALS
    total, factor = 0, int(digits[0])
    for sign, digit in zip(signs[:-1].tolist(), digits[1:].tolist(), strict=True):
        if sign == TIMES:
            factor = factor * digit % MODULUS
        else:
            total, factor = total + factor, digit if sign == PLUS else -digit
    return _answered(np.stack([digits, signs], 1).ravel(), (total + factor) % MODULUS, length, pad=EQUALS + 1)


def _drawn_length(stream: Stream, shortest: int, longest: int) -> int:
    if not 1 <= shortest <= longest:
        raise UsageError(f"no string has {shortest} to {longest} symbols: raise the length, or the least to 1")
    return stream.one(shortest, longest)


def _answered(tokens: np.ndarray, answer: int, length: int, pad: int) -> Text:
    inputs, targets = np.full(length, pad), np.full(length, IGNORED)
    inputs[:len(tokens)] = tokens
    targets[len(tokens) - 1] = answer
    return Text(inputs, targets)
