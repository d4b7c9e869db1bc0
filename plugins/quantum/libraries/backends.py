"""Fake backends of Qiskit by name: their noise for Aer, and their mean errors for our own kernels.

A backend reports an error for every gate on every qubit, the infidelity averaged over states. Its mean over one-qubit
and over two-qubit gates, and that of reading, make depolarising noise as strong: relaxation, and that some qubits are
better than others, is left to Aer. The means are over what works: a backend marks a dead qubit or coupler by an error
of 1, and a qubit that reads wrongly half of the time reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from harness import UsageError

from ..simulate.noise import MODELS, Depolarising

BASIS = ["rz", "sx", "x", "cx"]
DEAD, BLIND = 1.0, 0.5                      # errors of a gate, and of reading, that mean: out of order
PULSELESS = ("measure", "reset", "delay", "rz")
GENERIC = "GenericBackendV2"


def fake_backend(name: str, qubits: int, known: Iterable[str]) -> Any:
    """The backend of that name: Qiskit's generic one of so many qubits, or one of qiskit-ibm-runtime.

    Raises UsageError where there is none, with the names of these and the `known` ones.
    """
    try:
        from qiskit.providers.fake_provider import GenericBackendV2
    except ImportError:
        raise UsageError(f"unknown noise {name!r}; known: {', '.join(known)}, and with qiskit the names of its fake "
                         "backends: pip install 'qllm-harness[quantum]'") from None
    if name == GENERIC:
        return GenericBackendV2(max(2, qubits), basis_gates=BASIS, seed=0)
    found = _of_runtime()
    if name not in found:
        more = "" if found else "; those of IBM's devices come with pip install qiskit-ibm-runtime"
        raise UsageError(f"unknown noise {name!r}; known: {', '.join([*known, GENERIC, *sorted(found)])}{more}")
    backend = found[name]()
    if backend.num_qubits < qubits:
        raise UsageError(f"noise {name!r} has {backend.num_qubits} qubits, the circuit {qubits}; choose another")
    return backend


def _of_runtime() -> dict[str, Any]:
    try:
        from qiskit_ibm_runtime import fake_provider
    except ImportError:
        return {}
    kinds = {name: kind for name, kind in vars(fake_provider).items() if name.startswith("Fake")}
    return {name: kind for name, kind in kinds.items() if hasattr(kind, "target")}


def noise_model(name: str, qubits: int = 2) -> Depolarising:
    """One of MODELS, or the mean errors of the fake backend of that name. Raises UsageError."""
    if name in MODELS:
        return MODELS[name]
    one, two, reading = reported_errors(fake_backend(name, qubits, MODELS))
    if one is None or reading is None or (two is None and qubits > 1):
        what = "qubit" if one is None or reading is None else "coupler"
        raise UsageError(f"noise {name!r} reports no working {what}; choose another")
    return Depolarising(one, two or 0.0, reading)


def reported_errors(backend: Any) -> tuple[float | None, float | None, float | None]:
    """Depolarising probabilities behind gates of one and of two qubits, and that of reading a bit wrongly: means over
    the qubits and couplers that work, None where none does.

    A depolarising channel of probability p on states of dimension d has the average infidelity p (d - 1) / d.
    """
    target = backend.target
    gates: dict[int, list[float]] = {1: [], 2: []}
    for name in target.operation_names:
        for qubits, properties in (target[name] or {}).items():
            error = getattr(properties, "error", None) or 0.0
            if 0 < error < DEAD and qubits and len(qubits) in gates and name not in PULSELESS:
                gates[len(qubits)].append(error)
    readout = [p.error for p in target["measure"].values() if p is not None and p.error is not None and p.error < BLIND]
    one, two, reading = (fmean(errors) if errors else None for errors in (gates[1], gates[2], readout))
    return None if one is None else min(1.0, 2 * one), None if two is None else min(1.0, two * 4 / 3), reading
