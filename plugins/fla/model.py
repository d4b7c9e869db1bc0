"""A causal language model of flash-linear-attention behind the harness's interface: from its config class, randomly
initialised, as its authors put it together.

Notable:
- the kernels are Triton's: they need a GPU, or on a CPU the interpreter (TRITON_INTERPRET=1), which tests use;
- what a layer keeps of the text is the state; it is written in place, so it is copied before a call;
- importing fla registers its models with transformers, also in the place of some that transformers has.
"""

from __future__ import annotations

import inspect
import os
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from harness import LanguageModel, Unsupported, UsageError, copied_state

from .config import SINGLE, FlashLinearConfig


class FlashLinear(LanguageModel):
    """The state is {"length": tokens so far, "layers": by name what each keeps, batch first}."""

    def __init__(self, config: FlashLinearConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        interpreted = os.environ.get("TRITON_INTERPRET") == "1"
        if not (torch.cuda.is_available() or interpreted):
            raise Unsupported("flash-linear-attention needs a GPU, and there is none")
        if find_spec("triton") is None:
            raise Unsupported("flash-linear-attention needs Triton, which comes with PyTorch's CUDA builds")
        kind, model = _kinds(config.layer)
        known = inspect.signature(kind).parameters
        given = {name: value for name, value in config.fields.items() if name in known}
        self.inner = model(kind(**given, vocab_size=vocab_size))
        self.devices = ("cpu", "cuda") if interpreted else ("cuda",)

    def note(self) -> str:
        return "read token by token after a state" if self.config.layer in SINGLE else ""

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if tokens.device.type not in self.devices:
            raise Unsupported(f"flash-linear-attention does not run on {tokens.device.type}: --device cuda")
        if self.training and state is None:
            return self.inner(input_ids=tokens, use_cache=False).logits, None
        return self.advance(tokens, copied_state(state))

    def advance(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The model keeps what its layers keep, in the tensors that it was given."""
        single, found = state is not None and self.config.layer in SINGLE, []
        for piece in tokens.split(1 if single else tokens.shape[1], dim=1):
            output = self.inner(input_ids=piece, past_key_values=_cache(state), use_cache=True)
            layers = [_kept(layer.state) for layer in output.past_key_values.layers]
            state = {"length": (state["length"] if state else 0) + piece.shape[1], "layers": layers}
            found.append(output.logits)
        return torch.cat(found, dim=1), state


def _kinds(layer: str) -> tuple[Any, Any]:
    """The config and the model of a layer. Raises UsageError for one that the installed version has not."""
    import fla.models
    from transformers import CONFIG_MAPPING

    for name in CONFIG_MAPPING._mapping:                # transformers' own mamba2 stays what it is
        CONFIG_MAPPING._extra_content.pop(name, None)
    found = {kind.model_type: kind for name, kind in vars(fla.models).items() if name.endswith("Config")}
    if layer not in found:
        near = get_close_matches(layer, found, n=3, cutoff=0.5) or sorted(found)
        raise UsageError(f"flash-linear-attention has no layer {layer!r}; it has {', '.join(near)}")
    name = found[layer].__name__.removesuffix("Config")
    return found[layer], getattr(fla.models, f"{name}ForCausalLM")


def _cache(state: Any) -> Any:
    """A cache of fla that holds the tensors of a state."""
    from fla.models.utils import Cache, FLALayer

    cache = Cache()
    for held in state["layers"] if state else ():
        layer = FLALayer()
        layer.update(offset=state["length"])
        layer.state |= {name: _tuples(value) for name, value in held.items()}
        cache.layers.append(layer)
    return cache


def _kept(value: Any) -> Any:
    """A plain nest of tensors; what a layer has not is left out."""
    if isinstance(value, dict):
        return {name: _kept(part) for name, part in value.items() if part is not None}
    return [_kept(part) for part in value] if isinstance(value, list | tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
