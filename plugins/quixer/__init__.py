"""Quixer: a language model that mixes the unitaries of a window of tokens, simulated, beside its twins."""

from __future__ import annotations

from pathlib import Path

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="quixer",
        target="harness.plugins.quixer.model:Quixer",
        config="harness.plugins.quixer.config:QuixerConfig",
        family="quantum",
        summary="a polynomial of a linear combination of the unitaries of the last 32 tokens, read out by X, Y and Z",
        source="Khatri et al. 2406.04305",
        circuits="harness.plugins.quixer.study:quixer_circuits",
    )]


@hookimpl
def harness_claims() -> list[Path]:
    return [Path(__file__).with_name(name) for name in ("claims.toml", "qbet.toml")]
