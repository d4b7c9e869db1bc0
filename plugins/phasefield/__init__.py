"""The quantum phase-field language model, version 4: banks, coupler, oscillatory backbone, two memories."""

from __future__ import annotations

from pathlib import Path

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="phasefield",
        target="harness.plugins.phasefield.model:PhaseField",
        config="harness.plugins.phasefield.config:PhaseFieldConfig",
        family="phase",
        summary="complex state-space language model with phase banks and two memories, linear in the length",
        source="qllm2 v4 (Vishwakarma 2026), seed 001",
        kernels="harness.plugins.scan.cases:cases",
    )]


@hookimpl
def harness_claims() -> list[Path]:
    return [Path(__file__).with_name("claims.toml")]
