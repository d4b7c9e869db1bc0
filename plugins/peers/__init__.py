"""Other people's models: those of transformers, by architecture, and the tokenizers of their weights."""

from harness import ModelSpec, TokenizerSpec, hookimpl

_PEERS = "harness.plugins.peers"


@hookimpl
def harness_models() -> list[ModelSpec]:
    return [ModelSpec(
        name="transformers",
        target=f"{_PEERS}.model:Peer",
        config=f"{_PEERS}.config:PeerConfig",
        family="classical",
        summary="any causal language model of transformers, arch=NAME, from its config, randomly initialised",
        source="Wolf et al. 2020, the library as it is installed",
        requires=("transformers",), extra="peers", weights=f"{_PEERS}.weights:read",
    )]


@hookimpl
def harness_tokenizers() -> list[TokenizerSpec]:
    return [TokenizerSpec(
        "bpe", f"{_PEERS}.tokenizer:BytePairs",
        "byte-level byte pairs, from the training text or a folder of weights; vocab=N caps the ids (2048)",
        requires=("tokenizers",), extra="peers", learn=f"{_PEERS}.tokenizer:learn")]
