"""What `--suite circuit` asks of a circuit: gradients, states, shots and errors at random angles, and calls to time.

Every sample has inputs and weights of its own, uniform in ±pi; loaded amplitudes are uniform on the sphere. What comes
back are plain lists of numbers, a value a sample: what they show is for the suite to say. The gate plan is that of the
description, to which those of both libraries are equal; only what is timed is built in its library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Unsupported

from .cases import forward_backward
from .circuit.plan import Angle, Monomial, Plan, Readout, Rotation
from .config import CircuitConfig
from .layer import CircuitLayer, Execution, Library
from .libraries.backends import noise_model
from .simulate import noise, sampling, statevector
from .simulate.shift import TWO_TERMS, runs

AT_ONCE = 1 << 20                   # amplitudes of the states held together
DRAWS = 64                          # sets of errors that a noisy read-out is averaged over
FEW = 4                             # samples of an execution that takes them one by one


def qiskit_circuits(config: CircuitConfig) -> Family:
    return Family(config, "qiskit")


def pennylane_circuits(config: CircuitConfig) -> Family:
    return Family(config, "pennylane")


@dataclass(frozen=True)
class Timed:
    """A call that runs `samples` circuits forward and backward. `executions` are those of one sample on a device."""

    call: Callable[[], object]
    samples: int
    gradient: str
    executions: int
    shots: int | None = None


@dataclass(frozen=True)
class Family:
    """The circuits of a model's options, at any number of qubits and layers."""

    config: CircuitConfig
    library: Library

    def __post_init__(self) -> None:
        if self.config.circuit == "classical":
            raise Unsupported("circuit=classical is no circuit: nothing to measure")

    @property
    def size(self) -> tuple[int, int]:
        """Qubits and layers of the model itself."""
        return self.config.qubits, self.config.layers

    def at(self, qubits: int, layers: int) -> Circuit:
        """The circuit of that size. Raises Unsupported where it cannot be built or does not fit into memory."""
        statevector.fit_qubits(qubits)
        try:
            return Circuit(replace(self.config, qubits=qubits, layers=layers), self.library)
        except ValueError as error:
            raise Unsupported(str(error)) from None

    def disturb(self, model: nn.Module, strength: float) -> None:
        """Run a trained model's circuits with its noise, `strength` times as strong. Raises Unsupported."""
        for layer in model.modules():
            if isinstance(layer, CircuitLayer):
                kind = layer.description.readout.kind
                if kind not in ("z", "probabilities"):
                    raise Unsupported(f"attention={self.config.attention} reads out {kind}: noise does not act on that")
                layer.execution = replace(layer.execution, mode="noise")
                layer.errors = noise_model(self.config.noise, layer.description.qubits).times(strength)


@dataclass(frozen=True)
class Circuit:
    """One circuit at random angles."""

    config: CircuitConfig
    library: Library

    def __post_init__(self) -> None:
        self.config.description()

    @cached_property
    def plan(self) -> Plan:
        return individual(self.config.description(Readout()).plan())

    @property
    def facts(self) -> dict[str, int]:
        """What the suite writes into every row about this circuit."""
        gates = [gate for gate in self.config.description().gates() if len(gate.qubits) == 2]
        return {"n_qubits": self.config.qubits, "depth": self.config.layers, "two_qubit_gates": len(gates)}

    @property
    def flops(self) -> float:
        """Operations of a sample forward and backward where pairs of amplitudes are rotated: 6 an amplitude and
        rotation, twice that back, and 4 for the derivative; a layer's phases count as one more rotation. The first
        layer acts on a product state."""
        d = self.config.description()
        entangled = d.layers if d.pairs or d.encoding == "amplitude" else d.layers - 1
        return 22.0 * max(1, (len(d.pairs) or d.qubits + 1) * entangled) * 2**d.qubits

    def draw(self, samples: int, seed: int) -> tuple[Tensor, Tensor | None]:
        """Angles (B, inputs + weights), and where they are taken loaded states (B, 2, 2^n)."""
        generator = torch.Generator().manual_seed(seed)
        angles = (2 * torch.rand(samples, self.plan.inputs, generator=generator) - 1) * math.pi
        if not self.plan.loaded:
            return angles, None
        amplitudes = F.normalize(torch.randn(samples, 1 << self.plan.qubits, generator=generator), dim=-1)
        return angles, torch.stack([amplitudes, torch.zeros_like(amplitudes)], dim=1)

    def run(self, readout: Readout, angles: Tensor, loaded: Tensor | None) -> Tensor:
        return statevector.run(replace(self.plan, readout=readout), angles, angles.new_zeros(0), loaded)

    def squared_gradients(self, samples: int, seed: int = 0) -> list[float]:
        """The squared derivative of <Z> on the first qubit by a weight, averaged over all weights, for each sample.

        Over whole turns the mean of a derivative is zero, so the expectation of its square is its variance.
        """
        angles, loaded = self.draw(samples, seed)
        angles.requires_grad_()
        first = Readout("paulis", ("I" * (self.config.qubits - 1) + "Z",))
        grad, = torch.autograd.grad(self.run(first, angles, loaded).sum(), angles)
        return grad[:, -self.config.description().weights:].double().square().mean(1).tolist()

    def states(self, samples: int, seed: int) -> Iterator[Tensor]:
        """(B, 2^n), complex, in parts."""
        each = max(1, AT_ONCE >> self.config.qubits)
        for part, start in enumerate(range(0, samples, each)):
            planes = self.run(Readout("state"), *self.draw(min(each, samples - start), seed + 1_000 * part))
            yield torch.complex(planes[:, 0], planes[:, 1])

    def overlaps_and_entanglement(self, samples: int, seed: int = 0) -> tuple[list[float], list[float]]:
        """|<a|b>|² of pairs of its states, and Meyer-Wallach's Q of the first of each pair."""
        overlaps, entanglement = [], []
        for a, b in zip(self.states(samples, seed), self.states(samples, seed + 1), strict=True):
            overlaps += (a.conj() * b).sum(1).abs().square().tolist()
            entanglement += meyer_wallach(a).tolist()
        return overlaps, entanglement

    def shot_errors(self, shots: int, samples: int, seed: int = 0) -> tuple[list[float], list[float]]:
        """Squared errors of <Z> on every qubit from so many shots, summed over qubits, and what theory expects of
        them, (1 - z²) / shots."""
        angles, loaded = self.draw(samples, seed)
        uniforms = torch.rand(samples, shots, generator=torch.Generator().manual_seed(seed + 1))
        exact = self.run(Readout(), angles, loaded)
        found = sampling.sampled(self.plan, angles, angles.new_zeros(0), loaded, shots=shots, uniforms=uniforms)
        return (found - exact).square().sum(1).tolist(), ((1 - exact.square()) / shots).sum(1).tolist()

    def noisy(self, strength: float, samples: int, seed: int = 0) -> tuple[list[float], list[float]]:
        """Two numbers a sample, summed over qubits: <Z> with noise times <Z> without, and <Z> without squared.

        The noise is `strength` times as strong as the model's. The sum of the first over the sum of the second is the
        share of the contrast that the noise leaves.
        """
        angles, loaded = self.draw(samples, seed)
        generator = torch.Generator().manual_seed(seed + 1)
        uniforms = torch.rand(samples, DRAWS, noise.places(self.plan), generator=generator)
        rates = noise_model(self.config.noise, self.config.qubits).times(strength)
        exact = self.run(Readout(), angles, loaded)
        found = noise.noisy(self.plan, angles, angles.new_zeros(0), loaded, rates, uniforms)
        return (found * exact).sum(1).tolist(), exact.square().sum(1).tolist()

    def timed(self, execution: str, samples: int) -> Timed:
        """Forward and backward in one execution: compiled, native or shots."""
        config, d = self.config, self.config.description(Readout())
        by_one = execution == "native" and self.library == "qiskit"
        samples = FEW if by_one else samples
        layer = CircuitLayer(d, Execution(
            execution, self.library, config.shots, config.gradient, device=config.device))  # type: ignore[arg-type]
        x = torch.randn(1, samples, d.features, generator=torch.Generator().manual_seed(0))
        call = forward_backward(lambda a, _: layer(a), x, layer.weight)
        amplitudes = d.features if d.encoding == "amplitude" else 0
        if by_one:
            from .libraries.qiskit_native import separate

            return Timed(call, samples, "shift", runs(separate(layer.circuit).rules, amplitudes))
        if execution == "shots":
            rules = [TWO_TERMS] * sum(isinstance(s, Rotation) and bool(s.angle.terms) for s in layer.plan.steps)
            return Timed(call, samples, config.gradient, runs(rules, amplitudes, config.gradient), config.shots)
        backprop = execution == "native" and config.device == "default.qubit"
        return Timed(call, samples, "backprop" if backprop else "adjoint", 1)

    def state_bytes(self, samples: int) -> int:
        """Bytes of so many states in float32."""
        return samples * 2 * 4 << self.config.qubits


def individual(plan: Plan) -> Plan:
    """The weights as further inputs, so that every sample has its own."""
    def moved(angle: Angle) -> Angle:
        return Angle(tuple(("input", i + plan.inputs * (s == "weight"), c) for s, i, c in angle.terms), angle.offset)

    steps: list[Rotation | Monomial] = [
        Rotation(step.pauli, moved(step.angle)) if isinstance(step, Rotation) else step for step in plan.steps]
    return replace(plan, inputs=plan.inputs + plan.weights, weights=0, steps=tuple(steps))


def meyer_wallach(psi: Tensor) -> Tensor:
    """Q = 2 (1 - mean over qubits of the purity of one), of states (B, 2^n): 0 for a product, 1 for GHZ (Meyer &
    Wallach quant-ph/0108104, in the form of Brennen quant-ph/0305094)."""
    purities, n = [], psi.shape[1].bit_length() - 1
    for q in range(n):
        zero, one = psi.unflatten(1, (-1, 2, 1 << q)).unbind(2)
        zero, one = zero.flatten(1), one.flatten(1)
        populations = zero.abs().square().sum(1).square() + one.abs().square().sum(1).square()
        purities.append(populations + 2 * (zero.conj() * one).sum(1).abs().square())
    return 2 * (1 - torch.stack(purities).mean(0))
