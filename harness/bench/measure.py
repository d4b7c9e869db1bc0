"""Clocks, warm-up, interleaved rounds, peak memory.

Times are compared as ratios within a round, so a round must be long against the clock and the machine's jitter, and
the cases of a comparison must take turns: a machine that slows down then slows all of them.
"""

from __future__ import annotations

import ctypes
import gc
import math
import random
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch

from ..errors import Unsupported
from .holdings import beside

Call = Callable[[], object]
Turn = Callable[[], AbstractContextManager[Any]]

MIN_TIME = 0.02                         # seconds a round lasts at least
WARMUP_TIME = 1.0                       # seconds of warm-up at most, the first call apart
STILL_CALLS = 3                         # warm: so many calls in a row that were no faster
FASTER = 0.95
FEWEST = 6                              # rounds that an interval of a median at 95 % needs


class Clock:
    """Seconds on a device: `perf_counter` on a CPU, events on the stream of a GPU."""

    def __init__(self, device: torch.device | str = "cpu"):
        self.cuda = torch.device(device).type == "cuda"
        self.device = torch.device(device)

    def time(self, call: Call, calls: int = 1) -> float:
        """Seconds that `calls` calls take together, nothing pending on the device before or after."""
        if not self.cuda:
            started = time.perf_counter()
            for _ in range(calls):
                call()
            return time.perf_counter() - started
        with torch.cuda.device(self.device):
            first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda.synchronize()
            first.record()
            for _ in range(calls):
                call()
            last.record()
            torch.cuda.synchronize()
            return float(first.elapsed_time(last)) / 1e3


def warm_up(call: Call, clock: Clock, limit: float = WARMUP_TIME) -> float:
    """Call until it gets no faster, or for `limit` seconds after the first call, which may compile. Seconds at best."""
    best, still, spent = clock.time(call), 0, 0.0
    while still < STILL_CALLS and spent < limit:
        seconds = clock.time(call)
        still = 0 if seconds < FASTER * best else still + 1
        best, spent = min(best, seconds), spent + seconds
    return best


def calibrate(call: Call, clock: Clock, min_time: float = MIN_TIME, warmup: float = WARMUP_TIME) -> int:
    """Warm up, then say how many calls make a round of at least `min_time` seconds."""
    calls, seconds = 1, warm_up(call, clock, warmup)
    while seconds < min_time:
        needed = math.ceil(1.1 * calls * min_time / max(seconds, 1e-9))
        calls = min(max(needed, calls + 1), 10 * calls)
        seconds = clock.time(call, calls)
    return calls


def time_rounds(
    call: Call, rounds: int, *, clock: Clock, min_time: float = MIN_TIME, warmup: float = WARMUP_TIME,
    turn: Turn = nullcontext,
) -> list[float]:
    """Seconds per call, once a round. Whatever runs, runs inside `with turn():`, which waits until it is our turn."""
    with turn():
        calls = calibrate(call, clock, min_time, warmup)
    seconds = []
    for _ in range(rounds):
        with turn():
            seconds.append(clock.time(call, calls) / calls)
    return seconds


def time_cases(
    cases: Mapping[str, Call], rounds: int, *, seed: int = 0, clock: Clock, min_time: float = MIN_TIME,
    warmup: float = WARMUP_TIME, limit: float = math.inf,
) -> dict[str, list[float]]:
    """Seconds per call of several cases in one process, each once a round, in an order drawn anew for every round.

    No further round begins after `limit` seconds of them, though FEWEST are done in any case.
    """
    calls = {name: calibrate(call, clock, min_time, warmup) for name, call in cases.items()}
    order, draw = list(cases), random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    started = time.perf_counter()
    for done in range(rounds):
        if done >= FEWEST and time.perf_counter() - started > limit:
            break
        draw.shuffle(order)
        for name in order:
            seconds[name].append(clock.time(cases[name], calls[name]) / calls[name])
    return seconds


def release_memory() -> None:
    """Give back to the system what is free: garbage, the allocator's pools (glibc), the cache of CUDA."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    with suppress(OSError, AttributeError):     # not glibc: its free pages stay counted, before and after alike
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def status_bytes(field: str) -> int:
    """A size in this process's status, such as VmRSS, in bytes. Raises Unsupported, OSError."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise Unsupported(f"peak memory needs {field} of /proc/self/status, which this kernel does not give")


def peak_memory(call: Call) -> int:
    """Bytes by which this process's resident memory peaked during `call` over what it was before, with what its helpers
    and files in memory hold more afterwards. Raises Unsupported.

    The kernel's high-water mark (VmHWM), reset through clear_refs: exact to a few pages, no sampling. `getrusage`
    would not do: its maximum is inherited from the parent process.
    """
    release_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = status_bytes("VmRSS")
    except OSError as error:
        raise Unsupported(f"peak memory on a CPU needs Linux's /proc/self/clear_refs ({error.strerror})") from None
    others = beside()
    call()
    return max(0, status_bytes("VmHWM") - before) + beside().more_than(others)


def peak(call: Call, device: torch.device | str = "cpu") -> dict[str, int]:
    """Peak bytes of `call` over what was in use before, by name. Raises Unsupported.

    "process" is resident memory on a CPU; on CUDA what the driver counts on the device, library workspaces and any
    other process included. CUDA adds "allocated" (tensors alone) and "reserved" (with the allocator's pool).
    """
    if torch.device(device).type != "cuda":
        return {"process": peak_memory(call)}

    def in_use() -> int:
        free, total = torch.cuda.mem_get_info()
        return total - free

    with torch.cuda.device(device):
        torch.cuda.synchronize()
        release_memory()
        torch.cuda.reset_peak_memory_stats()
        allocated, reserved, used = torch.cuda.memory_allocated(), torch.cuda.memory_reserved(), in_use()
        call()
        torch.cuda.synchronize()
        return {
            "allocated": torch.cuda.max_memory_allocated() - allocated,
            "reserved": torch.cuda.max_memory_reserved() - reserved,
            "process": max(0, in_use() - used),
        }
