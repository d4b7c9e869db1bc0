"""The quantum phase-field language model, version 4: an oscillatory backbone; banks and memories as options."""

from __future__ import annotations

from pathlib import Path

from harness import ComponentSpec, ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="phasefield",
        target="harness.plugins.phasefield.model:PhaseField",
        config="harness.plugins.phasefield.config:PhaseFieldConfig",
        family="phase",
        summary="gated linear recurrence over complex channels that turn; banks and memories as options",
        source="qllm2 v4 (Vishwakarma 2026), seed 001",
        tunable=("tied=false",),
        kernels="harness.plugins.phasefield.cases:cases",
        places=("bank", "coupler", "memory"),
    )]


@hookimpl
def harness_components() -> list[ComponentSpec]:
    return [ComponentSpec("phasefield", place, name, f"harness.plugins.phasefield.{target}", summary)
            for place, name, target, summary in (
        ("bank", "semantic", "banks:SemanticBank", "concepts that a token is coherent with"),
        ("bank", "context", "banks:ContextBank", "phases turned by the last tokens"),
        ("bank", "emotion", "banks:EmotionBank", "a mixture of eight vectors, a placeholder as published"),
        ("bank", "language", "text_banks:LanguageBank", "gates of the language that the text so far is in"),
        ("bank", "morphology", "text_banks:MorphologyBank", "prefix and suffix as rotations, place in the word"),
        ("bank", "orthography", "text_banks:OrthographyBank", "script and shape of the last character"),
        ("coupler", "router", "coupler:Coupler", "weights of the banks from what they say"),
        ("memory", "associative", "memory:PhaseMemory", "learned slots addressed by phase coherence"),
    )]


@hookimpl
def harness_claims() -> list[Path]:
    return [Path(__file__).with_name("claims.toml")]
