"""Options of Quixer. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class QuixerConfig:
    """The defaults are the published sizes. Twins, with as many parameters: `entangler=false` has RX where the ansatz
    has controlled RX, `circuit=classical` a mode for every qubit in the place of the register."""

    dim: int = 512                      # of the embedding
    qubits: int = 6
    degree: int = 3                     # of the polynomial
    ansatz_layers: int = 4              # of a token's circuit
    window: int = 32                    # tokens that a prediction sees
    entangler: bool = True
    circuit: Literal["trained", "classical"] = "trained"
    dropout: float = 0.0                # of a token's embedding; published with 0.1, over thirty epochs

    def __post_init__(self) -> None:
        if min(self.dim, self.degree, self.ansatz_layers, self.window) < 1 or self.qubits < 2:
            raise ValueError("dim, degree, ansatz_layers and window must be at least 1, and qubits 2: the ansatz is a "
                             "ring of them")
        if self.circuit == "classical" and not self.entangler:
            raise ValueError("circuit=classical has no entangler to leave out")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout is from 0 to below 1")
