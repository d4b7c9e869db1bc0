"""The transformer every newcomer is measured against."""

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="baseline",
        target="harness.plugins.baseline.model:Transformer",
        config="harness.plugins.baseline.config:TransformerConfig",
        family="classical",
        summary="pre-norm transformer: rotary embedding, RMSNorm, SwiGLU, fused attention, KV cache",
        tunable=("conv=4:qk_norm=true", "tied=false", "conv=4:qk_norm=true:tied=false"),
        baseline=True, source="Vaswani et al. 2017 in the form of LLaMA (Touvron et al. 2023)",
    )]
