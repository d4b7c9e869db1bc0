"""Kernel cases of `--suite kernels`: a circuit of two layers, forward and backward, compiled against native.

The floor is what half-register GEMMs would take at the machine's GEMM rate, for the one layer that neither the encoding
nor the read-out absorbs: per sample 8 · 2^n · 2 · 2^(n/2) operations forward, and twice that backward. Fused kernels
rotate by pairs of amplitudes instead, 28 · n · 2^n, and may lie below it from eight qubits on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from harness import KernelCase

from .circuit.ansatz import Description
from .layer import CircuitLayer, Execution, Library
from .simulate import statevector

SIZES = ((6, 64), (6, 1024), (8, 64), (8, 1024), (10, 256), (12, 256))      # qubits, samples
ONE_BY_ONE = SIZES[0]               # the size for what takes samples, or shifted angles, one by one
BROADCAST_QUBITS = 10               # at most, of simulators of a whole batch that are timed beside our own
LAYERS = 2


def qiskit_cases(device: str) -> list[KernelCase]:
    return cases(device, "qiskit")


def pennylane_cases(device: str) -> list[KernelCase]:
    return cases(device, "pennylane")


def cases(device: str, library: Library = "qiskit", sizes: tuple[tuple[int, int], ...] = SIZES) -> list[KernelCase]:
    """For each size the backends that run here, the floor, the library's simulator, a peer where it is installed."""
    return [case for size in sizes for case in _cases(device, library, *size)]


def _cases(device: str, library: Library, qubits: int, batch: int) -> Iterator[KernelCase]:
    description, group = Description(qubits, LAYERS), f"{qubits} qubits x {batch}"
    layer = CircuitLayer(description).to(device)
    flops = 3 * 8 * batch * 2 ** qubits * sum(2 ** half for half in (qubits // 2, qubits - qubits // 2))
    x = torch.randn(batch, description.inputs, generator=torch.Generator().manual_seed(0)).to(device)
    for name in statevector.runnable(device):
        run = partial(statevector.run, description.plan(), backend=name)
        yield KernelCase(f"{group}/compiled, {name}", forward_backward(run, x, layer.weight), "implementation", group,
                         flops=flops)
    yield KernelCase(f"{group}/floor", gemms(qubits, batch, device), "floor", group, flops=flops)
    if device == "cpu" and qubits <= BROADCAST_QUBITS and find_spec("tensorcircuit") and find_spec("jax"):
        from .libraries.peer import tensorcircuit

        yield KernelCase(f"{group}/peer: TensorCircuit on JAX", tensorcircuit(description, x, layer.weight),
                         "implementation", group)
    peers = {}
    if library == "pennylane" and qubits <= BROADCAST_QUBITS:
        peers["default.qubit, backprop"] = "default.qubit"
    if (qubits, batch) == ONE_BY_ONE or batch < ONE_BY_ONE[1]:
        peers["Aer, parameter shift" if library == "qiskit" else "lightning.qubit, adjoint"] = "lightning.qubit"
    for title, simulator in peers.items():
        role = "baseline" if title == next(iter(peers)) else "implementation"
        yield KernelCase(f"{group}/{title}", native(description, library, x, simulator), role, group)


def native(
    description: Description, library: Library, x: Tensor, device: str = "default.qubit",
) -> Callable[[], object]:
    layer = CircuitLayer(description, Execution("native", library, device=device))
    return forward_backward(lambda a, _: layer(a), x, layer.weight)


def forward_backward(function: Callable[..., Tensor], x: Tensor, weight: Tensor) -> Callable[[], object]:
    """One forward and the gradients into inputs and weights, from a fixed gradient of the result."""
    leaves = [x.clone().requires_grad_(), weight]
    grad: list[Tensor] = []

    def run() -> None:
        out = function(*leaves)
        if not grad:
            grad.append(torch.randn_like(out))
        torch.autograd.grad(out, leaves, grad[0])

    return run


def gemms(qubits: int, batch: int, device: str) -> Callable[[], object]:
    """The half-register products of a forward and a backward pass."""
    low = qubits // 2
    psi = torch.randn(batch * 2 ** (qubits - low), 2 ** low, dtype=torch.complex64, device=device)
    other = torch.randn(batch * 2 ** low, 2 ** (qubits - low), dtype=torch.complex64, device=device)
    sides = psi.shape[1], other.shape[1]
    small, large = (torch.randn(side, side, dtype=torch.complex64, device=device) for side in sides)

    def run() -> None:
        for _ in range(3):
            torch.mm(psi, small)
            torch.mm(other, large)

    return run
