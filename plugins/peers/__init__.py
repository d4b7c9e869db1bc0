"""Other people's models: those of transformers, by architecture."""

from harness import ModelSpec, hookimpl


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="transformers",
        target="harness.plugins.peers.model:Peer",
        config="harness.plugins.peers.config:PeerConfig",
        family="classical",
        summary="any causal language model of transformers, arch=NAME, from its config, randomly initialised",
        source="Wolf et al. 2020, the library as it is installed",
        requires=("transformers",), extra="peers",
    )]
