"""Running a gate plan on a statevector, a batch at a time, forward and backward, in two backends.

`portable` is PyTorch alone, `cpu` fused numba kernels; "auto" takes the faster that is there. Both take float32 and
float64; "auto" leaves float64, in which tests compare, to `portable`. Gradients are exact, by the adjoint method: the
circuit is walked back, so that memory does not grow with its depth.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from harness import Unsupported

from ..circuit.plan import Plan
from . import portable

Backend = Literal["auto", "portable", "cpu"]

COPIES = 6                          # states a sample in flight, forward and backward
LANES = 16                          # samples at least that are in flight together
SMALL = 1 << 26                     # bytes that are always there: not worth a look


def run(
    plan: Plan, x: Tensor, w: Tensor, loaded: Tensor | None = None, *, backend: Backend = "auto",
) -> Tensor:
    """Read-outs of the plan's circuit for a batch.

    x (B, inputs) and w (weights,) in radians; loaded (B, 2, 2^n), planes of a state, where the plan takes one
    -> (B, outputs), or for the read-out `state` its planes (B, 2, 2^n). Raises ValueError on a wrong shape,
    RuntimeError where `backend` is absent, Unsupported where a state does not fit into memory.
    """
    size = 1 << plan.qubits
    dtype = torch.float64 if torch.float64 in (x.dtype, w.dtype) else torch.float32
    if loaded is None:
        loaded = x.new_zeros(0, 2, size)
    for name, tensor, shape in (("x", x, (x.shape[0], plan.inputs)), ("w", w, (plan.weights,)),
                                ("loaded", loaded, (x.shape[0] if plan.loaded else 0, 2, size))):
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {shape}")
    fit_qubits(plan.qubits, dtype)
    with torch.autocast(x.device.type, enabled=False):
        out = _backend(backend, plan, x, dtype).run(plan, x.to(dtype), w.to(dtype), loaded.to(dtype))
    return out.unflatten(1, (2, size)) if plan.readout.kind == "state" else out


def fit_qubits(qubits: int, dtype: torch.dtype = torch.float32) -> None:
    """Raise Unsupported where a block of states needs more than the machine's free memory."""
    number = COPIES * LANES * 2 * torch.finfo(dtype).bits // 8
    if number << qubits > SMALL and number << qubits > (free := _free_bytes()):
        most = (free // number).bit_length() - 1
        raise Unsupported(f"a statevector of {qubits} qubits needs {number << qubits:.2g} bytes, "
                          f"of which {free:.2g} are free; {most} qubits fit")


def _free_bytes() -> int:
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return 8 << 30
    line = next(line for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) << 10


def runnable(device: str) -> list[Backend]:
    """The backends that run on `device`, the fastest last."""
    return ["portable", *(["cpu"] if device == "cpu" and _has_numba() else [])]  # type: ignore[list-item]


def _backend(name: Backend, plan: Plan, x: Tensor, dtype: torch.dtype):
    """A register of one qubit is too small for the kernels' unrolled loops."""
    fits = x.device.type == "cpu" and plan.qubits > 1
    if name == "auto":
        name = "cpu" if fits and dtype == torch.float32 and _has_numba() else "portable"
    if name == "portable":
        return portable
    if not _has_numba():
        raise RuntimeError("the cpu backend of statevectors needs numba: pip install 'qllm-harness[fast]'")
    if not fits:
        raise RuntimeError(f"the cpu backend takes two qubits or more on a CPU, not {plan.qubits} on {x.device.type}")
    return import_module(".cpu", __package__)


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None
