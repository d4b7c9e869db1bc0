"""Tutorial: what the harness lists of it and what can be set. The model is imported when it is built."""

from dataclasses import dataclass

from harness import ModelSpec, hookimpl


@dataclass(frozen=True)
class Config:
    dim: int = 128              # `--params N` solves for it
    window: int = 4

    def __post_init__(self):
        if self.dim < 1 or self.window < 1:
            raise ValueError("dim and window must be at least 1")


@hookimpl
def harness_models():
    return [ModelSpec(
        name="tutorial", target="tutorial_plugin.model:Tutorial", config="tutorial_plugin:Config", family="classical",
        summary="a causal convolution of the last tokens before a gated layer", source="the tutorial")]
