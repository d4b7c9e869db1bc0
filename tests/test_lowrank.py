"""Truncated singular value decompositions: LAPACK's, also where a Krylov space stands for a large matrix."""

import numpy as np
import pytest

from harness.gguf import lowrank
from harness.gguf.lowrank import truncated_svd


@pytest.mark.parametrize("spectrum", ["white", "harmonic", "low rank"])
def test_the_krylov_space_holds_the_leading_triples(spectrum, monkeypatch):
    """Its error exceeds the smallest possible by less than 1e-4, its vectors are orthonormal."""
    rng, rank = np.random.default_rng(0), 8
    matrix = rng.standard_normal((300, 420))
    if spectrum != "white":
        u, _, vt = np.linalg.svd(matrix, full_matrices=False)
        matrix = (u / np.arange(1, 301) * (np.arange(300) < (300 if spectrum == "harmonic" else 20))) @ vt
    monkeypatch.setattr(lowrank, "SMALL", 0)
    found = truncated_svd(matrix, rank)
    exact = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(found.u.T @ found.u, np.eye(rank), atol=1e-10)
    np.testing.assert_allclose(found.vt @ found.vt.T, np.eye(rank), atol=1e-10)
    left = np.linalg.norm(matrix - (found.u * found.s) @ found.vt)
    assert left < np.sqrt((exact[rank:] ** 2).sum()) * (1 + 1e-4)


def test_a_small_matrix_is_decomposed_exactly():
    matrix = np.random.default_rng(1).standard_normal((20, 9))
    u, s, vt = truncated_svd(matrix, 9)
    np.testing.assert_allclose((u * s) @ vt, matrix, atol=1e-12)
    assert truncated_svd(matrix, 3).s.shape == (3,)
