"""Causal transformers of parameterised circuits, built in Qiskit or in PennyLane.

Notable:
- a head is a small register: a linear map turns the token into angles, its circuits' read-outs are queries, keys and
  values; the feed-forward layer is circuits too;
- nothing is pooled: every position has its own circuits, so that the model is causal and has a state;
- sampled and noisy executions are fixed functions of the position, so the audit holds for them as well;
- the model states what its circuits would cost on a device (`circuit_cost`).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

from harness import Unsupported

from ..blocks import RMSNorm, gemm_flops
from ..decoder import Decoder
from .attention import FORMS, SPREAD, Circuits, Mixer
from .config import CircuitConfig
from .layer import CircuitLayer, Execution, Library


class Block(nn.Module):
    def __init__(self, config: CircuitConfig, execution: Execution, stream: int):
        super().__init__()
        heads, outputs = config.head_count, config.description().readout.size(config.qubits)
        self.attention_norm = RMSNorm(config.dim)
        self.attention = FORMS[config.attention](config, execution, stream)
        self.mlp_norm = RMSNorm(config.dim)
        self.mlp = Circuits(config, execution, heads, stream=stream + 3 * heads)
        self.out = nn.Linear(heads * outputs, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, past: Any, start: int) -> tuple[Tensor, Any]:
        y, past = self.attention(self.attention_norm(x), past, start)
        x = x + self.dropout(y)
        return x + self.dropout(self.out(self.mlp(self.mlp_norm(x), start).flatten(2))), past


class CircuitTransformer(Decoder):
    config: CircuitConfig
    library: Library

    def __init__(self, config: CircuitConfig, vocab_size: int):
        execution = Execution(
            config.execution, self.library, config.shots, config.gradient, config.noise, device=config.device)
        streams = 4 * config.head_count
        super().__init__(
            config, vocab_size, (Block(config, execution, layer * streams) for layer in range(config.blocks)))

    def gain(self, name: str) -> float:
        """Angles of SPREAD radians, so that no turn wraps around."""
        return SPREAD if name.endswith("angles") else super().gain(name)

    def layers(self) -> list[CircuitLayer]:
        return [module for module in self.modules() if isinstance(module, CircuitLayer)]

    def diagnostics(self) -> dict[str, float]:
        """Trainable angles as a share of all weights; of the mixer, how often post-selection would succeed."""
        angles = sum(layer.weight.numel() for layer in self.layers())
        found = {"angle_share": angles / sum(p.numel() for p in self.parameters())}
        mixers = [module for module in self.modules() if isinstance(module, Mixer)]
        if mixers:
            found["post_selection_probability"] = sum(m.probability for m in mixers) / len(mixers)
        return found

    def circuit_cost(self, seq_len: int, basis: str = "cz", coupling: str = "heavy-hex") -> dict[str, Any]:
        """What one text of `seq_len` tokens would take on a device: circuits, depth after transpiling, seconds.

        `runs_per_gradient` counts a circuit's runs for one training step by the chosen rule. Raises Unsupported where
        Qiskit, which transpiles, is missing.
        """
        if not (find_spec("qiskit") and find_spec("qiskit_aer")):
            raise Unsupported("transpiling needs qiskit: pip install 'qllm-harness[quantum]'")
        from .libraries.cost import Timing, circuit_cost
        from .libraries.qiskit_circuit import build
        from .libraries.qiskit_native import separate
        from .simulate.shift import runs

        config = self.config
        description = config.description()
        circuit = build(description)
        one, timing = circuit_cost(circuit, basis, coupling), Timing()
        amplitudes = description.features if description.encoding == "amplitude" else 0
        steps = runs(separate(circuit).rules, amplitudes, config.gradient)
        projected = seq_len * len(self.layers())
        pairs = seq_len * (seq_len + 1) // 2 * config.head_count * config.blocks
        if config.attention == "overlap":                   # one circuit a pair in place of one a query and one a key
            projected -= 2 * seq_len * config.head_count * config.blocks
        circuits = projected + (pairs if config.attention == "overlap" else 0)
        return {
            **one.as_dict(), "circuits_per_token": circuits / seq_len, "circuits": circuits,
            "runs_per_gradient": steps, "shots": config.shots, "qpu_s_forward": one.seconds(circuits, config.shots),
            "qpu_s_step": one.seconds(circuits * steps, config.shots), "assumption": str(timing)}

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Operations of one call: linear maps, attention pairs, and 14 for each amplitude and rotation of a circuit."""
        config, tokens = self.config, 1 if phase == "decode" else seq_len
        pairs = seq_len + 1 if phase == "decode" else seq_len * (seq_len + 1) // 2
        d = config.description()
        circuits = len(self.layers()) * 14 * d.qubits * max(1, d.layers - 1) << d.qubits
        if config.attention == "mixer":
            circuits *= 2 * config.window
        width = 2 << d.qubits + 1 if config.attention == "overlap" else 2 * d.qubits
        attended = 0 if config.attention == "mixer" else pairs * 2 * width * config.head_count * config.blocks
        return (3 if phase == "train" else 1) * batch * (tokens * (gemm_flops(self) + circuits) + attended)


class QiskitTransformer(CircuitTransformer):
    library = "qiskit"


class PennyLaneTransformer(CircuitTransformer):
    library = "pennylane"
