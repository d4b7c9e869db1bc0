"""Statevectors on a CPU: autograd around the numba kernels of `cpu_kernels`.

Nothing of a state is kept between forward and backward: memory is that of one block of samples a thread, whatever the
batch and the depth.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..circuit.plan import Plan
from . import cpu_kernels as kernels
from .cpu_readout import EXPECTATIONS, PROBABILITIES, STATE, Z
from .cpu_rotations import LANES
from .program import lower

THREAD_WORK = 1 << 16               # amplitudes below which a further thread costs more than it brings
READOUTS = {
    "paulis": EXPECTATIONS, "z": Z, "probabilities": PROBABILITIES, "state": STATE}


@dataclass(frozen=True)
class Code:
    """A program as the kernels take it, and the maps from inputs and weights to half angles."""

    program: tuple[np.ndarray, ...]
    tables: np.ndarray
    starts: np.ndarray
    lanes: int
    readout: int
    outputs: int
    by_input: Tensor                # (inputs, lane angles)
    by_weight: Tensor               # (weights, angles)
    offset: Tensor                  # (angles,)


@lru_cache(maxsize=256)
def assemble(plan: Plan, dtype: torch.dtype) -> Code:
    program = lower(plan)
    by_input = torch.zeros(plan.inputs, program.lanes, dtype=dtype)
    by_weight = torch.zeros(plan.weights, len(program.angles), dtype=dtype)
    for row, angle in enumerate(program.angles):
        for source, index, coefficient in angle.terms:
            (by_input if source == "input" else by_weight)[index, row] = coefficient / 2
    offset = torch.tensor([angle.offset / 2 for angle in program.angles], dtype=dtype)
    rows = [np.zeros((0, 3), np.int64), *program.tables]
    return Code(
        (program.prefix, program.ops, program.observables, program.target, program.power),
        np.concatenate(rows), np.cumsum([len(table) for table in rows]), program.lanes, READOUTS[plan.readout.kind],
        plan.outputs * (2 if plan.readout.kind == "state" else 1), by_input, by_weight, offset)


def run(plan: Plan, x: Tensor, w: Tensor, loaded: Tensor) -> Tensor:
    """x (B, inputs), w (weights,), loaded (B or 0, 2, 2^n) of one dtype -> (B, outputs), a state as planes."""
    return _Circuit.apply(assemble(plan, x.dtype), x, w, loaded)


class _Circuit(Function):
    @staticmethod
    def forward(ctx, code: Code, x: Tensor, w: Tensor, loaded: Tensor) -> Tensor:
        x, w, loaded = x.detach(), w.detach(), loaded.detach().contiguous()
        out = torch.empty(x.shape[0], code.outputs, dtype=x.dtype)
        _deal(code, _angles(code, x, w), loaded, out, back=False)
        ctx.save_for_backward(x, w, loaded)
        ctx.code = code
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        code, (x, w, loaded) = ctx.code, ctx.saved_tensors
        angles = _angles(code, x, w)
        d_in, d_loaded, d_w, d_phase = _deal(code, angles, loaded, grad.contiguous(), back=True)
        kernels.phase_tables_back(code.tables, code.starts, code.lanes, d_phase.numpy(), d_w.numpy())
        total = torch.cat([d_in.sum(1), d_w])
        # Kernels give derivatives by whole angles, the maps are to half angles.
        d_x = (2 * (code.by_input @ d_in)).T if ctx.needs_input_grad[1] else None
        return None, d_x, 2 * (code.by_weight @ total), d_loaded if loaded.shape[0] else None


def _angles(code: Code, x: Tensor, w: Tensor) -> tuple[np.ndarray, ...]:
    """cos and sin of the half angles, those by sample and the shared ones, and the tables of phases."""
    half = torch.addmv(code.offset, code.by_weight.T, w)
    by_sample = torch.addmm(half[:code.lanes, None], code.by_input.T, x.T)           # (lane angles, B)
    shared = half[code.lanes:]
    cos, sin = shared.cos().numpy(), shared.sin().numpy()
    phases = np.empty((len(code.starts) - 1, 2, code.program[3].shape[0]), cos.dtype)
    kernels.phase_tables(code.tables, code.starts, cos, sin, code.lanes, phases)
    return by_sample.cos().numpy(), by_sample.sin().numpy(), cos, sin, phases


def _deal(code: Code, angles: tuple[np.ndarray, ...], loaded: Tensor, out: Tensor, back: bool) -> list[Tensor]:
    """Sweep over the batch, in threads where it pays: d_in, d_loaded, d_w, d_phase. Each thread adds to its own."""
    (batch, _), size, dtype = out.shape, code.program[3].shape[0], out.dtype
    threads = max(1, min(torch.get_num_threads(), batch * size // THREAD_WORK))
    each = max(1, -(-batch // threads // LANES)) * LANES
    lows = range(0, batch, each)
    d_in = torch.empty(code.lanes if back else 0, batch, dtype=dtype)
    d_loaded = torch.empty(loaded.shape if back else (0, 2, size), dtype=dtype)
    d_w = torch.zeros(len(lows), angles[2].size, dtype=dtype)
    d_phase = torch.zeros(len(lows), len(angles[4]), size, dtype=dtype)

    def sweep(part: int) -> None:
        kernels.sweep(
            lows[part], min(lows[part] + each, batch), code.program, *angles, loaded.numpy(), code.readout,
            out.numpy(), back, d_in.numpy(), d_w[part].numpy(), d_phase[part].numpy(), d_loaded.numpy())

    workers = [threading.Thread(target=sweep, args=(part,)) for part in range(1, len(lows))]
    for worker in workers:
        worker.start()
    if lows:
        sweep(0)
    for worker in workers:
        worker.join()
    return [d_in, d_loaded, d_w.sum(0), d_phase.sum(0)]
