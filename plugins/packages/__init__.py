"""Models of packages of one architecture each."""

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    def spec(name: str, target: str, config: str, package: str, summary: str, source: str,
             extra: str = "peers") -> ModelSpec:
        return ModelSpec(
            name=name, target=f"harness.plugins.packages.{target}",
            config=f"harness.plugins.packages.config:{config}", family="classical", summary=summary, source=source,
            requires=(package,), extra=extra)

    return [
        spec("mingru", "model:MinGRU", "StackConfig", "minGRU_pytorch",
             "minimal gated recurrence, parallel over time, with an MLP", "Feng et al. 2024, minGRU-pytorch"),
        spec("mambapy", "model:ParallelMamba", "StackConfig", "mambapy",
             "Mamba with a parallel scan in PyTorch alone", "Gu and Dao 2023, mambapy"),
        spec("x-transformers", "model:XTransformer", "AttentionConfig", "x_transformers",
             "pre-norm transformer of x-transformers: rotary embedding, RMSNorm, SwiGLU", "x-transformers"),
        spec("xlstm", "xlstm:XLSTM", "XLSTMConfig", "xlstm",
             "LSTM with exponential gates and matrix memories", "Beck et al. 2024, xlstm", "xlstm"),
        spec("titans", "titans:Titans", "TitansConfig", "titans_pytorch",
             "attention within segments and a memory that learns while it reads", "Behrouz et al. 2024, titans-pytorch",
             "titans"),
    ]
