"""What the machine can do at most: copy bandwidth and GEMM rates, to stand beside the measured values.

Medians of a few rounds on one process with the run's threads. Virtual machines may report a last-level cache of
hundreds of megabytes that they share with neighbours, so the arrays of the copy are larger than that where memory
allows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from statistics import median
from typing import Literal

import torch

from ..model import LanguageModel, count_parameters
from .measure import Call, Clock, release_memory, time_rounds

Phase = Literal["train", "prefill", "decode", "score"]

COPY_BYTES = {"cpu": 256 << 20, "cuda": 1 << 30}        # of each of the two arrays
GEMM_SIZE = {"cpu": 960, "cuda": 8192}                  # rows of 1024 share sets of a cache: half as fast in loops
ROUNDS = 5


def measure_limits(device: torch.device | str = "cpu") -> dict[str, float]:
    """Copy bandwidth in bytes/s, read plus written, and GEMM rates in flop/s by dtype."""
    kind = torch.device(device).type
    limits = {"copy_bytes_per_s": _copy_rate(device, min(COPY_BYTES[kind], _free_memory(device) // 8))}
    for dtype in (torch.float32, torch.bfloat16):
        limits[f"gemm_{str(dtype).removeprefix('torch.')}_flops_per_s"] = _gemm_rate(device, dtype, GEMM_SIZE[kind])
    release_memory()
    return limits


def _free_memory(device: torch.device | str) -> int:
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):                       # macOS does not tell
        return 8 * COPY_BYTES["cpu"]


def _copy_rate(device: torch.device | str, size: int) -> float:
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * source.numel() / _seconds(lambda: target.copy_(source), device)


def _gemm_rate(device: torch.device | str, dtype: torch.dtype, n: int) -> float:
    a, b = torch.randn(2, n, n, device=device).to(dtype)
    out = torch.empty_like(a)
    return 2 * n**3 / _seconds(lambda: torch.mm(a, b, out=out), device)


def _seconds(call: Call, device: torch.device | str) -> float:
    return median(time_rounds(call, ROUNDS, clock=Clock(device), min_time=0.01, warmup=0.1))


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of one call. `estimated`: the model states none, so parameters were counted."""

    value: float
    estimated: bool


def model_flops(model: LanguageModel, batch: int, seq_len: int, phase: Phase) -> Flops:
    """What the model states in `flops(batch, seq_len, phase)`, else an estimate from its non-embedding parameters.

    The estimate is 2 flops a parameter and token forward, three times that in training (Kaplan et al. 2020,
    arXiv:2001.08361, section 2.1). In decode one token is read per sequence and `seq_len` is the context before it.
    """
    if stated := getattr(model, "flops", None):
        return Flops(float(stated(batch, seq_len, phase)), estimated=False)
    tokens = batch * (1 if phase == "decode" else seq_len)
    return Flops(count_parameters(model).non_embedding * tokens * (6.0 if phase == "train" else 2.0), estimated=True)
