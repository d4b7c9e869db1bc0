"""The second model that was named version 2: superposed concepts, phase coherence, entangled tokens, an energy."""

from __future__ import annotations

from pathlib import Path

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="superposition",
        target="harness.plugins.superposition.model:Superposition",
        config="harness.plugins.superposition.config:SuperpositionConfig",
        family="phase",
        summary="gated linear attention with decay, concept mixtures, and phase agreement over windows of the past",
        source="qllm2 v2 of 2025 (Vishwakarma), seed 001",
        tunable=("tied=false",),
    )]


@hookimpl
def harness_claims() -> list[Path]:
    return [Path(__file__).with_name("claims.toml")]
