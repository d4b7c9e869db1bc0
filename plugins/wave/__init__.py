"""Attention heads that see tokens as waves: a score is the interference of two amplitudes and phases."""

from __future__ import annotations

from pathlib import Path

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="wave",
        target="harness.plugins.wave.model:Wave",
        config="harness.plugins.wave.config:WaveConfig",
        family="phase",
        summary="transformer; half of the heads score a_q a_k cos(p_q - p_k), a dot product of doubled features",
        source="seed 003",
        tunable=("tied=false",),
        kernels="harness.plugins.interference.cases:real_cases",
    )]


@hookimpl
def harness_claims() -> list[Path]:
    return [Path(__file__).with_name("claims.toml")]
