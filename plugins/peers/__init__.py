"""The field's own models as plugins: those of transformers, and the recurrent networks of PyTorch."""

from harness import ModelSpec, hookimpl

HERE = "harness.plugins.peers"


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [
        ModelSpec(
            name="transformers", target=f"{HERE}.model:Peer", config=f"{HERE}.config:PeerConfig", family="classical",
            summary="any causal language model of transformers, arch=NAME, from its config, randomly initialised",
            source="Wolf et al. 2020, the library as it is installed", requires=("transformers",), extra="peers"),
        ModelSpec(
            name="gru", target=f"{HERE}.recurrent:GRU", config=f"{HERE}.recurrent:RecurrentConfig", family="classical",
            summary="gated recurrent units of PyTorch, layer upon layer", source="Cho et al. 2014, torch.nn.GRU"),
        ModelSpec(
            name="lstm", target=f"{HERE}.recurrent:LSTM", config=f"{HERE}.recurrent:RecurrentConfig",
            family="classical", summary="long short-term memory of PyTorch, layer upon layer",
            source="Hochreiter and Schmidhuber 1997, torch.nn.LSTM"),
    ]
