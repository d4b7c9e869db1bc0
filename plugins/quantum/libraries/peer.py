"""The strongest peer of the compiled kernels, to be timed beside them where it is installed: TensorCircuit-NG on JAX.

Nothing here depends on it. Its compiler fuses the circuit of a whole batch (jit of vmap); it is held to the threads of
the run, as it would else take every core.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..circuit.ansatz import Description

ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def tensorcircuit(description: Description, x: Tensor, weight: Tensor) -> Callable[[], object]:
    """One forward and the gradients into inputs and weights, from a fixed gradient of the result. Compiles at once."""
    if torch.get_num_threads() == 1:
        os.environ.setdefault("XLA_FLAGS", ONE_THREAD)
    import jax
    import tensorcircuit as tc

    tc.set_backend("jax")
    tc.set_dtype("complex64")
    inputs, weights = np.asarray(x), np.asarray(weight.detach())
    grad = np.random.default_rng(0).standard_normal((len(inputs), description.qubits)).astype(np.float32)

    def read_out(sample: Any, shared: Any) -> Any:
        circuit = tc.Circuit(description.qubits)
        for gate in description.gates():
            angles = [sum(c * (sample if s == "input" else shared)[i] for s, i, c in a.terms) for a in gate.angles]
            getattr(circuit, gate.name)(*gate.qubits, **({"theta": angles[0]} if angles else {}))
        return jax.numpy.stack([circuit.expectation_ps(z=[q]).real for q in range(description.qubits)])

    batched = jax.vmap(read_out, (0, None))
    step = jax.jit(jax.value_and_grad(lambda a, b: (batched(a, b) * grad).sum(), (0, 1)))
    return lambda: jax.block_until_ready(step(inputs, weights))
