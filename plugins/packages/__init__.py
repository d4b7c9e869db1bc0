"""Models of packages of one architecture each."""

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    def spec(name: str, kind: str, config: str, package: str, summary: str, source: str) -> ModelSpec:
        return ModelSpec(
            name=name, target=f"harness.plugins.packages.model:{kind}",
            config=f"harness.plugins.packages.config:{config}", family="classical", summary=summary, source=source,
            requires=(package,), extra="peers")

    return [
        spec("mingru", "MinGRU", "StackConfig", "minGRU_pytorch",
             "minimal gated recurrence, parallel over time, with an MLP", "Feng et al. 2024, minGRU-pytorch"),
        spec("mambapy", "ParallelMamba", "StackConfig", "mambapy",
             "Mamba with a parallel scan in PyTorch alone", "Gu and Dao 2023, mambapy"),
        spec("x-transformers", "XTransformer", "AttentionConfig", "x_transformers",
             "pre-norm transformer of x-transformers: rotary embedding, RMSNorm, SwiGLU", "x-transformers"),
    ]
