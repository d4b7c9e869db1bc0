"""Language models whose projections, scores and feed-forward layers are parameterised quantum circuits, simulated."""

from __future__ import annotations

from pathlib import Path

from harness import EncodingSpec, ModelSpec, hookimpl

SOURCE = "seed 002; Di Sipio 2110.06510, Li 2205.05625, Smaldone 2502.19214, Khatri 2406.04305"


def _spec(name: str, library: str, target: str, requires: tuple[str, ...]) -> ModelSpec:
    return ModelSpec(
        name=name,
        target=f"harness.plugins.quantum.model:{target}",
        config="harness.plugins.quantum.config:CircuitConfig",
        family="quantum",
        summary=f"causal transformer of parameterised circuits, built in {library}, run exactly, sampled or noisy",
        source=SOURCE,
        requires=requires,
        extra="quantum",
        kernels=f"harness.plugins.quantum.cases:{name}_cases",
        circuits=f"harness.plugins.quantum.study:{name}_circuits",
    )


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [
        _spec("qiskit", "Qiskit", "QiskitTransformer", ("qiskit", "qiskit_aer")),
        _spec("pennylane", "PennyLane", "PennyLaneTransformer", ("pennylane",)),
    ]


@hookimpl
def harness_claims() -> list[Path]:
    return [Path(__file__).with_name("claims.toml")]


@hookimpl
def harness_encodings() -> list[EncodingSpec]:
    return [EncodingSpec("quantum", "harness.plugins.quantum.circuit.weights:encode",
                         "singular vectors as Givens rotations of unary states, singular values as damping", "angles")]
