"""Options of the circuit transformers. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .circuit.ansatz import Ansatz, Description, Encoding, Entangler
from .circuit.plan import Readout

CHANNELS_PER_HEAD = 128


@dataclass(frozen=True)
class CircuitConfig:
    """A head is a set of circuits of `qubits` qubits and `layers` trainable layers each.

    `attention` says how tokens meet: `projection` (queries, keys, values from circuits), `gaussian` (the distance of
    two expectation values), `overlap` (of two states), `mixer` (a polynomial of the tokens' unitaries). Twins:
    `entangler=false`, `circuit=frozen` (angles stay random), `circuit=classical` (a classical map of as many).
    """

    dim: int = 256
    blocks: int = 2
    heads: int | None = None            # None is one for 128 channels
    qubits: int = 6
    layers: int = 2
    encoding: Encoding = "angle"
    ansatz: Ansatz = "rotations"
    topology: Literal["ring", "chain"] = "ring"
    entangler: bool = True
    readout: Literal["z", "probabilities"] = "z"
    attention: Literal["projection", "gaussian", "overlap", "mixer"] = "projection"
    window: int = 8                     # tokens that `mixer` combines
    circuit: Literal["trained", "frozen", "classical"] = "trained"
    execution: Literal["compiled", "native", "shots", "noise"] = "compiled"
    shots: int = 1024
    gradient: Literal["shift", "spsa"] = "spsa"
    noise: str = "depolarizing"
    device: Literal["default.qubit", "lightning.qubit"] = "default.qubit"
    tied: bool = True                   # the head shares the embedding's weights
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.dim < 1 or self.blocks < 1 or self.window < 1 or (self.heads is not None and self.heads < 1):
            raise ValueError("dim, blocks, heads and window must be at least 1")
        if self.shots < 1:
            raise ValueError(f"shots={self.shots} must be at least 1; execution=compiled is exact")
        if self.attention in ("overlap", "mixer") and (self.execution != "compiled" or self.circuit == "classical"):
            raise ValueError(f"attention={self.attention} works on states, which only execution=compiled of a circuit "
                             "gives")
        if self.circuit == "classical" and self.readout != "z":
            raise ValueError("circuit=classical stands for the read-out z alone")
        if self.attention == "mixer" and self.encoding == "amplitude":
            raise ValueError("attention=mixer needs tokens as unitaries: encoding=angle or reupload")
        self.description()

    @property
    def width_step(self) -> int:
        return 2

    @property
    def head_count(self) -> int:
        return self.heads or max(1, self.dim // CHANNELS_PER_HEAD)

    def description(self, readout: Readout | None = None) -> Description:
        """One circuit. Raises ValueError where it cannot be built."""
        wiring: Entangler = self.topology if self.entangler else "none"
        return Description(
            self.qubits, self.layers, self.encoding, self.ansatz, wiring, readout or Readout(self.readout))
