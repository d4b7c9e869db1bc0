"""The phase-field model's backbone without its phases: a real gated linear recurrence."""

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="ssm",
        target="harness.plugins.ssm.model:StateSpace",
        config="harness.plugins.ssm.config:StateSpaceConfig",
        family="classical",
        summary="real gated diagonal linear recurrence with a short convolution, RMSNorm and SwiGLU",
        tunable=("expand=2", "tied=false", "expand=2:tied=false"),
        source="HGRN (Qin et al. 2023) with the input normalisation of RG-LRU (De et al. 2024)",
    )]
