"""What ended a cell, or a process, as a status and a reason in one line. (no torch)"""

from __future__ import annotations

import signal

from ..errors import HarnessError
from ..frames import place
from ..records import Status
from ..store import STATUSES

OUT_OF_MEMORY = ("allocate memory", "DefaultCPUAlloc", "bad_alloc", "CUDA error: out of memory",
                 "[CUDA]: out of memory", "_STATUS_ALLOC_FAILED")               # of torch, Triton, and cuBLAS or cuDNN


def classify(error: BaseException, module: str = "") -> tuple[str, str]:
    """(status, reason in one line) of an exception that ended a cell of a model of `module`."""
    text = " ".join(str(error).split())[:300]
    name = type(error).__name__
    if isinstance(error, MemoryError) or "OutOfMemory" in name or any(sign in text for sign in OUT_OF_MEMORY):
        return "oom", f"out of memory: {text or name}"
    status = getattr(error, "status", "")
    if status in STATUSES:                                 # Unsupported knows what it is
        return status, text
    if isinstance(error, NotImplementedError):
        return "unsupported", text or name
    if isinstance(error, HarnessError):
        return "error", text
    where = place(error, module)
    return "error", (f"{name}: {text}" if text else name) + (f" ({where})" if where else "")


def death(code: int | None, what: str = "the worker") -> tuple[Status, str]:
    """(status, reason) of a process that ended without an answer; `code` is negative for a signal, None while it runs.
    """
    if code is None:
        return "error", f"{what} closed its connection"
    if code >= 0:
        return "error", f"{what} exited with code {code} in the middle of the cell"
    name = signal.Signals(-code).name
    if name == "SIGKILL":
        return "oom", f"{what} was killed (SIGKILL), most likely by the kernel for want of memory"
    return "error", f"{what} died of {name}"
