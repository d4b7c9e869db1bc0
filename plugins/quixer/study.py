"""What `--suite circuit` asks of a token's circuit: that of circuit 14, at any number of qubits and layers.

Its angles are all of the token, none trained by itself. The register of a whole window, with the qubits that choose
among tokens and those of the transformation, is not built: what a device would take is in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec

from torch import nn

from harness import Unsupported

from ..quantum.circuit.ansatz import Description, Gate
from ..quantum.circuit.plan import Readout
from ..quantum.config import CircuitConfig
from ..quantum.simulate import statevector
from ..quantum.study import Circuit, Family, Timed
from .ansatz import layered
from .config import QuixerConfig


def quixer_circuits(config: QuixerConfig) -> Family:
    if config.circuit == "classical":
        raise Unsupported("circuit=classical is no circuit: nothing to measure")
    return TokenFamily(
        TokenConfig(qubits=config.qubits, layers=config.ansatz_layers, entangler=config.entangler), "qiskit")


@dataclass(frozen=True)
class TokenDescription(Description):
    """All of its angles are weights."""

    @property
    def inputs(self) -> int:
        return 0

    @property
    def weights(self) -> int:
        return 4 * self.qubits * self.layers

    def gates(self) -> list[Gate]:
        return layered(self.qubits, self.layers, "weight", self.entangler != "none")


@dataclass(frozen=True)
class TokenConfig(CircuitConfig):
    """Of the circuit alone."""

    def description(self, readout: Readout | None = None) -> TokenDescription:
        if self.qubits < 2:
            raise ValueError("a ring needs two qubits")
        return TokenDescription(self.qubits, self.layers, entangler="ring" if self.entangler else "none",
                                readout=readout or Readout(self.readout))


@dataclass(frozen=True)
class TokenFamily(Family):
    def at(self, qubits: int, layers: int) -> Circuit:
        statevector.fit_qubits(qubits)
        try:
            return TokenCircuit(replace(self.config, qubits=qubits, layers=layers), self.library)
        except ValueError as error:
            raise Unsupported(str(error)) from None

    def disturb(self, model: nn.Module, strength: float) -> None:
        raise Unsupported("the circuit of a whole window is not built here, so noise does not act on it")


@dataclass(frozen=True)
class TokenCircuit(Circuit):
    @property
    def flops(self) -> float:
        """Operations of a sample forward and backward, 22 for each amplitude and gate."""
        return 22.0 * len(self.config.description().gates()) * 2**self.config.qubits

    def timed(self, execution: str, samples: int) -> Timed:
        if not (find_spec("qiskit") and find_spec("qiskit_aer")):
            raise Unsupported("timing builds the circuit in qiskit: pip install 'qllm-harness[quantum]'")
        return super().timed(execution, samples)
