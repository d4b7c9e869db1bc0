"""Orthonormal columns as circuits of Givens rotations (RBS gates) in the unary encoding. (no torch)

Notable:
- RBS gates keep the number of excitations, so one excitation on d qubits is a vector of d numbers and a circuit is an
  orthogonal matrix: it is run here exactly for any d, where a statevector would take 2^d numbers;
- r columns take d r - r (r + 1) / 2 angles, as many as such columns have degrees of freedom. Column j is loaded by a
  tree of d - 1 - j gates, log2 d deep (Johri et al. 2012.04145): a chain of neighbours would gather the rounding of
  d gates in every column, the tree that of its levels;
- each column is fitted after the angles of those before it are rounded, so that it makes up for their rounding;
- above the first level of a tree both amplitudes are norms, which are not negative: their angle lies in the first
  quadrant, and its bits divide that quadrant in place of the whole circle.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .ansatz import Gate
from .plan import Angle

QUADRANT = math.pi / 2


def rounded(angles: np.ndarray, low: float, high: float, bits: int) -> np.ndarray:
    """The nearest of 2^bits evenly spaced angles, both ends among them."""
    step = (high - low) / (2**bits - 1)
    return low + step * np.rint((np.clip(angles, low, high) - low) / step)


@lru_cache(maxsize=4096)
def tree(size: int) -> tuple[tuple[int, int, np.ndarray], ...]:
    """How `size` amplitudes fold into the first, a level at a time: (pairs, distance, both are norms).

    A level folds amplitude i + distance into i, for i < pairs.
    """
    levels, folded, left = [], np.zeros(size, dtype=bool), size
    while left > 1:
        pairs, distance = left // 2, left - left // 2
        levels.append((pairs, distance, folded[:pairs] & folded[distance:left]))
        folded[:pairs] = True
        left = distance
    return tuple(levels)


def rotate(x: np.ndarray, a: slice, b: slice, angles: np.ndarray) -> None:
    """In place: rows a, b of x (d, ·) become cos a - sin b and sin a + cos b."""
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x[a], x[b] = cos * x[a] - sin * x[b], sin * x[a] + cos * x[b]


@dataclass(frozen=True)
class OrthogonalCircuit:
    """G_1 G_2 … G_K of Givens rotations, whose first `columns` columns of length `size` are what it encodes."""

    size: int
    columns: int
    angles: np.ndarray                  # (K,), in the order of `levels`

    @classmethod
    def of(cls, matrix: np.ndarray, bits: int) -> OrthogonalCircuit:
        """The circuit of the orthonormal columns of `matrix` (d, r), its angles rounded to `bits` bits.

        Where r = d the last column has no angle left: `reachable` says which sign it has.
        """
        size, columns = matrix.shape
        x, angles = matrix.astype(np.float64), [np.zeros(0)]
        for column, a, b, norms in cls._levels(size, columns):
            turn = np.arctan2(x[b, column], x[a, column])
            turn = np.where(norms, rounded(turn, 0.0, QUADRANT, bits), rounded(turn, -math.pi, math.pi, bits))
            rotate(x[:, column:], a, b, -turn)
            angles.append(turn)
        return cls(size, columns, np.concatenate(angles))

    @staticmethod
    def _levels(size: int, columns: int) -> Iterator[tuple[int, slice, slice, np.ndarray]]:
        """(column, first rows, second rows, both are norms) of the rotations of each level, G_1 first."""
        for column in range(columns):
            for pairs, distance, norms in tree(size - column):
                first = column + distance
                yield column, slice(column, column + pairs), slice(first, first + pairs), norms

    def levels(self) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """(first rows, second rows, angles) of each level, G_1 first."""
        start = 0
        for _, a, b, norms in self._levels(self.size, self.columns):
            yield a, b, self.angles[start : start + len(norms)]
            start += len(norms)

    @property
    def depth(self) -> int:
        """Levels of gates that act at once."""
        return sum(1 for _ in self.levels())

    def run(self, x: np.ndarray, *, inverse: bool = False) -> np.ndarray:
        """x (d, ·), amplitudes of the unary states, after the circuit or after its inverse."""
        x, levels = x.astype(np.float64), list(self.levels())
        for a, b, angles in levels if inverse else reversed(levels):
            rotate(x, a, b, -angles if inverse else angles)
        return x

    def matrix(self) -> np.ndarray:
        """What the circuit makes of its first `columns` unary states: (d, r)."""
        return self.run(np.eye(self.size, self.columns))

    def gates(self, *, inverse: bool = False) -> list[Gate]:
        """The circuit as named gates, the first to act first: RBS on (b, a) takes |a> to cos |a> + sin |b>."""
        found = [
            Gate("rbs", (row + b.start - a.start, row), (Angle(offset=float(-angle if inverse else angle)),))
            for a, b, angles in self.levels() for row, angle in enumerate(angles, start=a.start)]
        return found if inverse else found[::-1]


def reachable(matrix: np.ndarray) -> np.ndarray:
    """Orthonormal columns, the last of a square matrix turned so that its determinant is one: rotations reach that."""
    if matrix.shape[0] != matrix.shape[1]:
        return matrix
    turned = matrix.copy()
    turned[:, -1] *= np.linalg.slogdet(matrix).sign
    return turned
