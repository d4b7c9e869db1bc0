"""Scores over documents of unequal size: a total of bits over a total of bytes, and how far it may lie. (no torch)

Tokens of a document are not independent, documents are. The variance is that of the linearised ratio (Cochran 1977,
6.4). A few large documents decide the ratio, and their residuals are too small, since the ratio follows them: each
square is divided by what it falls short (HC2: MacKinnon and White 1985), and degrees of freedom are the effective
number of documents less one. Where one document is 42 % of the text, resampling documents covers 91 %, and the degrees
of Bell and McCaffrey 2002 cover 99 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .student import CONFIDENCE, Estimate, Student

if TYPE_CHECKING:
    from numpy import ndarray


def effective_number(sizes: Sequence[float]) -> float:
    """As how many equal ones documents of these sizes count (Kish 1965): (sum n)^2 / sum n^2."""
    return sum(sizes)**2 / sum(size * size for size in sizes)


def bits_per_byte_interval(bits: Sequence[float], bytes: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Total bits over total bytes: `bits` and `bytes` of each document, in one order; no interval from one alone."""
    import numpy as np

    sizes, total = np.asarray(bytes, float), float(sum(bytes))
    value, weights = float(sum(bits)) / total, sizes / total
    residuals = (np.asarray(bits, float) - value * sizes) / total
    known = (sizes > 0).sum() > 1
    return Student(value, _total_variance(residuals, weights) if known else None,
                   document_degrees(weights) if known else 0, len(sizes)).interval(confidence)


def paired_bits_difference(bits_a: Sequence[float], bits_b: Sequence[float], bytes: Sequence[float],
                           confidence: float = CONFIDENCE) -> Estimate:
    """Bits per byte of A minus those of B over the same documents, whose difficulty cancels."""
    return bits_per_byte_interval([a - b for a, b in zip(bits_a, bits_b, strict=True)], bytes, confidence)


def document_variance(differences: ndarray, weights: ndarray) -> float:
    """Of the mean of what documents differ by, at least two. (N,), (N,)"""
    left = differences / len(differences)
    return _total_variance(left - weights * left.sum(), weights)


def _total_variance(residuals: ndarray, weights: ndarray) -> float:
    """Of a sum whose weighted mean was taken off its terms. (N,), (N,)"""
    return float((residuals**2 / shortfall(weights)).sum())


def shortfall(weights: ndarray) -> ndarray:
    """What the square of a residual is of its variance, where a weighted mean was taken off. (N,)"""
    short: ndarray = 1 - 2 * weights + (weights**2).sum()
    return short


def document_degrees(weights: ndarray) -> float:
    """Of the variance of a mean of documents: their effective number less one. (N,)"""
    return max(1.0, 1 / float((weights**2).sum()) - 1)
