"""The brain-inspired model, version 3: consciousness, short- and long-term memory, spiking neurons, plasticity."""

from __future__ import annotations

from pathlib import Path

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="brain",
        target="harness.plugins.brain.model:Brain",
        config="harness.plugins.brain.config:BrainConfig",
        family="brain",
        summary="leaky spiking units and Hebbian fast weights in a residual stream, slots, a memory one can write to",
        source="qllm2 v3 (Vishwakarma), seed 001",
        tunable=("tied=false",),
    )]


@hookimpl
def harness_claims() -> list[Path]:
    return [Path(__file__).with_name("claims.toml")]
