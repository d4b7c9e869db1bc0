"""The recurrent networks of PyTorch: what one would first try."""

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    def spec(name: str, kind: str, summary: str, source: str) -> ModelSpec:
        return ModelSpec(
            name=name, target=f"harness.plugins.recurrent.model:{kind}",
            config="harness.plugins.recurrent.config:RecurrentConfig", family="classical", summary=summary,
            source=source)

    return [
        spec("gru", "GRU", "gated recurrent units of PyTorch, layer upon layer", "Cho et al. 2014, torch.nn.GRU"),
        spec("lstm", "LSTM", "long short-term memory of PyTorch, layer upon layer",
             "Hochreiter and Schmidhuber 1997, torch.nn.LSTM"),
    ]
