"""Matrices of a GGUF file through a code, beside a truncated SVD of as many bits: a record a tensor. (no torch)"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import Unsupported, UsageError, one_line, unknown
from ..specs import EncodingSpec, resolve
from .file import GGUFFile, GGUFTensor
from .lowrank import rounded_svd, truncated_svd

FLOAT32 = float(np.finfo(np.float32).max)
BITS = (2, 52)                          # least and most of a stored number; float64 has no more


@dataclass(frozen=True)
class Encoded:
    """What became of a tensor. Errors are relative Frobenius norms; `svd_*` are of the truncated SVD whose factors have
    as many bits a number and together no more than `stored_bits`. `status` is ok, kept (no matrix), unsupported or
    error."""

    tensor: str
    type: str
    shape: tuple[int, ...]
    rank: int | None = None
    numbers: int | None = None
    stored_bits: int | None = None
    bits_per_weight: float | None = None
    relative_error: float | None = None
    fidelity: float | None = None
    svd_rank: int | None = None
    svd_relative_error: float | None = None
    seconds: float | None = None
    status: str = "ok"
    reason: str = ""
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """A matrix as the code, and as the truncated SVD, gives it back: float32."""

    code: np.ndarray
    svd: np.ndarray


def check(file: GGUFFile, names: Sequence[str], rank: int, bits: int) -> list[str]:
    """The tensors to look at. Raises UsageError for one that the file lacks, an impossible rank or number of bits."""
    for name in names:
        if name not in file.tensors:
            raise unknown(f"tensor of {file.path}", name, file.tensors)
    if not BITS[0] <= bits <= BITS[1]:
        raise UsageError(f"--bits must be between {BITS[0]} and {BITS[1]}, got {bits}")
    chosen = list(dict.fromkeys(names)) or list(file.tensors)
    tensors = [file.tensors[name] for name in chosen]
    largest = max((min(tensor.shape) for tensor in tensors if is_matrix(tensor)), default=0)
    if not largest:
        raise UsageError(f"{', '.join(names) if names else file.path} holds no matrix of weights")
    if not 1 <= rank <= largest:
        raise UsageError(f"--rank must be between 1 and {largest}, the largest rank of a matrix here, got {rank}")
    return chosen


def is_matrix(tensor: GGUFTensor) -> bool:
    """Whether it has two dimensions and numbers that are not integers."""
    return len(tensor.shape) == 2 and 0 not in tensor.shape and not tensor.integer


def encode_all(
    file: GGUFFile, names: Sequence[str], spec: EncodingSpec, rank: int, bits: int,
) -> Iterator[tuple[Encoded, Pair | None]]:
    """A record for each tensor of `names`, and the matrices that stand for it where there are some.

    A matrix of a smaller rank than `rank` takes its own. Raises FileError where the file cannot be read.
    """
    code = resolve(spec.target)
    for name in names:
        tensor = file.tensors[name]
        if not is_matrix(tensor):
            yield Encoded(name, tensor.type, tensor.shape, status="kept", reason="no matrix of weights"), None
            continue
        started = time.perf_counter()
        try:
            matrix = file.read(name).astype(np.float64)
        except Unsupported as error:
            yield Encoded(name, tensor.type, tensor.shape, status="unsupported", reason=one_line(error)), None
            continue
        if not np.isfinite(matrix).all():
            yield Encoded(name, tensor.type, tensor.shape, status="error", reason="holds NaN or infinity"), None
            continue
        scale = power_of_two_below(matrix)
        matrix = matrix / scale                         # exact, and neither squares nor float32 leave their range
        factors = truncated_svd(matrix, min(rank, *matrix.shape))
        found = code(matrix, factors, bits)
        control, control_rank = rounded_svd(matrix, factors, bits, found.stored_bits)
        yield Encoded(
            name, tensor.type, tensor.shape, len(factors.s), found.numbers, found.stored_bits,
            found.stored_bits / matrix.size, relative_error(found.matrix, matrix), found.fidelity,
            control_rank, relative_error(control, matrix), time.perf_counter() - started, facts=dict(found.facts),
        ), Pair(_float32(found.matrix * scale), _float32(control * scale))


def _float32(matrix: np.ndarray) -> np.ndarray:
    return matrix.clip(-FLOAT32, FLOAT32).astype(np.float32)


def power_of_two_below(matrix: np.ndarray) -> float:
    """The power of two that brings the largest entry into [1, 2); 1 for a matrix of zeros."""
    largest = float(np.abs(matrix).max())
    return float(np.ldexp(1.0, int(np.frexp(largest)[1]) - 1)) if largest else 1.0


def relative_error(found: np.ndarray, matrix: np.ndarray) -> float:
    """The Frobenius norm of the difference over that of the matrix; 0 for a matrix of zeros that is met."""
    size = float(np.linalg.norm(matrix))
    return float(np.linalg.norm(found - matrix)) / (size or 1.0)
