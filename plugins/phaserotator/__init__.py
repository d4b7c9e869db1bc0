"""The phase-rotator transformer, the first model named version 2: rotated embeddings, a learned prefix, LoRA."""

from __future__ import annotations

from pathlib import Path

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="phaserotator",
        target="harness.plugins.phaserotator.model:PhaseRotatorTransformer",
        config="harness.plugins.phaserotator.config:PhaseRotatorConfig",
        family="phase",
        summary="transformer behind a learned turn of its embedding channels; memory tokens are a constant prefix",
        source="qllm2 v2 of August 2025 (Vishwakarma), seed 004",
        tunable=("tied=false",),
    )]


@hookimpl
def harness_claims() -> list[Path]:
    return [Path(__file__).with_name("claims.toml")]
