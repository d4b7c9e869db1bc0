"""Truncated singular value decompositions, exact or by block Krylov, and their factors rounded to few bits. (no torch)

The rounded factors are the classical control of every code for matrices: the same singular vectors, as many bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SMALL = 768                             # a matrix up to this size on its shorter side is decomposed exactly
BLOCKS, OVERSAMPLING = 10, 8            # of the Krylov space: relative excess of the error below 1e-4 on white noise
SCALE_BITS = 32                         # a float32 for each singular triple


class Factors(NamedTuple):
    """u (m, r), s (r,) and vt (r, n), largest first."""

    u: np.ndarray
    s: np.ndarray
    vt: np.ndarray


def truncated_svd(matrix: np.ndarray, rank: int) -> Factors:
    """The leading `rank` singular triples of matrix (m, n), in float64.

    A large matrix is projected on the block Krylov space of W Wᵀ (Musco and Musco 2015), from a fixed random start.
    """
    basis = None
    width = rank + OVERSAMPLING
    if min(matrix.shape) > max(SMALL, BLOCKS * width):
        block = np.random.default_rng(0).standard_normal((matrix.shape[1], width))
        blocks = []
        for _ in range(BLOCKS):
            block = np.linalg.qr(matrix @ block)[0]                                 # (m, width)
            blocks.append(block)
            block = matrix.T @ block
        basis = np.linalg.qr(np.concatenate(blocks, axis=1))[0]
    u, s, vt = np.linalg.svd(matrix if basis is None else basis.T @ matrix, full_matrices=False)
    return Factors((u if basis is None else basis @ u)[:, :rank], s[:rank], vt[:rank])


def rounded_svd(matrix: np.ndarray, factors: Factors, bits: int, stored_bits: int) -> tuple[np.ndarray, int]:
    """The best of `factors` that fit into `stored_bits`, `bits` a number: matrix (m, n), rank.

    Singular vectors are rounded on the grid of their largest entry, their values fitted to the rounded vectors.
    """
    rank = min(len(factors.s), stored_bits // (sum(matrix.shape) * bits + SCALE_BITS))
    left, right = (_on_grid(vectors[:, :rank], bits) for vectors in (factors.u, factors.vt.T))
    size = (left**2).sum(0) * (right**2).sum(0)
    values = ((matrix.T @ left) * right).sum(0) / np.where(size, size, 1.0)
    return (left * values.astype(np.float32)) @ right.T, rank


def _on_grid(vectors: np.ndarray, bits: int) -> np.ndarray:
    """Columns as integers of `bits` bits, times what makes the largest entry of each 1."""
    most = 2 ** (bits - 1) - 1
    scaled: np.ndarray = np.rint(vectors / np.abs(vectors).max(0, initial=1e-300) * most) / most
    return scaled
