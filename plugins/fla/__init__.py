"""Models of flash-linear-attention, whose kernels need a GPU."""

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="fla", target="harness.plugins.fla.model:FlashLinear",
        config="harness.plugins.fla.config:FlashLinearConfig", family="classical",
        summary="a language model of flash-linear-attention, on a GPU", requires=("fla", "transformers"), extra="fla",
        source="Yang et al. 2023, flash-linear-attention")]
