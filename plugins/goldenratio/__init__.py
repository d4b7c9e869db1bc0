"""Attention whose scores are interference magnitudes between phases, read off by fixed golden-ratio patterns."""

from __future__ import annotations

from pathlib import Path

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="goldenratio",
        target="harness.plugins.goldenratio.model:GoldenRatio",
        config="harness.plugins.goldenratio.config:GoldenRatioConfig",
        family="phase",
        summary="transformer whose scores are moduli of summed phase differences; phases are fixed golden-ratio waves",
        source="seed 000",
        tunable=("tied=false",),
        kernels="harness.plugins.interference.cases:modulus_cases",
    )]


@hookimpl
def harness_claims() -> list[Path]:
    return [Path(__file__).with_name("claims.toml")]
