"""A causal language model of transformers behind the harness's interface: from its config class, randomly initialised.

Notable:
- nothing is downloaded: the config of an architecture is filled from the options and the table of architectures;
- the cache is the state; positions of a chunk after a state are given, for some models begin anew without them;
- in training no cache is made, for nobody asks for a state there.
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import torch
from torch import Tensor

from harness import LanguageModel, Unsupported, UsageError

from .architectures import ARCHITECTURES
from .cache import packed, unpacked
from .config import OWN, PeerConfig, unknown_architecture

CACHES = ("cache", "past_key_values", "cache_params", "state")      # what the argument is called, newest first


class Peer(LanguageModel):
    """The state is {"length": tokens so far, "cache": …}, or the text itself with read=none."""

    def __init__(self, config: PeerConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        from transformers import AutoModelForCausalLM

        self.inner = AutoModelForCausalLM.from_config(_settings(config, vocab_size), dtype=torch.float32)
        arguments = inspect.signature(self.inner.forward).parameters
        self.cache_name = next((name for name in CACHES if name in arguments), "")
        self.takes_positions = "position_ids" in arguments

    def note(self) -> str:
        reads, finding = self.config.reads, self.config.entry.get("finding", "")
        how = {"single": "read token by token after a state", "none": "the text is read anew for every token"}
        return f"{how[reads]}" + f": {finding}" * bool(finding) if reads in how else ""

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if self.training and state is None:
            return self.inner(input_ids=tokens, use_cache=False).logits, None
        if self.config.reads == "none":
            text = tokens if state is None else torch.cat([state, tokens], dim=1)
            return self.inner(input_ids=text, use_cache=False).logits[:, -tokens.shape[1]:], text
        if self.config.reads == "whole" or state is None:
            return self._read(tokens, state)
        found = []
        for token in tokens.split(1, dim=1):
            logits, state = self._read(token, state)
            found.append(logits)
        return torch.cat(found, dim=1), state

    def advance(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The cache itself is the state, so that it is neither copied nor taken apart."""
        if self.config.reads == "none":
            return self.forward(tokens, state)
        length, cache, found = state["length"], state["cache"], []
        if isinstance(cache, dict | list):
            cache = unpacked(cache, self._empty(tokens))
        for piece in tokens.split(1 if self.config.reads == "single" else tokens.shape[1], dim=1):
            logits, state = self._called(piece, length, cache)
            length, cache = state["length"], state["cache"]
            found.append(logits)
        return torch.cat(found, dim=1), state

    def _read(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        start, cache = 0, None
        if state is not None:
            start, cache = state["length"], unpacked(state["cache"], self._empty(tokens))
        logits, after = self._called(tokens, start, cache)
        return logits, after | {"cache": packed(after["cache"], self._empty(tokens))}

    def _called(self, tokens: Tensor, start: int, cache: Any) -> tuple[Tensor, Any]:
        given = {} if cache is None else {self.cache_name: cache}
        if self.takes_positions:
            given["position_ids"] = torch.arange(start, start + tokens.shape[1], device=tokens.device)[None]
        output = self.inner(input_ids=tokens, use_cache=True, **given)
        cache = next((output[name] for name in CACHES if output.get(name) is not None), None)
        if cache is None:
            raise Unsupported(f"{self.config.arch} gives no cache back; read=none reads the text anew for every token")
        return output.logits, {"length": start + tokens.shape[1], "cache": cache}

    def _empty(self, tokens: Tensor) -> Any:
        """A cache of the kind that the model makes for these rows: its module's own, where that has one."""
        from transformers import DynamicCache

        own = [kind for name, kind in vars(sys.modules[type(self.inner).__module__]).items()
               if name.endswith("Cache") and kind.__module__ == type(self.inner).__module__]
        if not own:
            return DynamicCache(config=self.inner.config)
        if "max_batch_size" not in inspect.signature(own[0]).parameters:
            return own[0]()
        return own[0](self.inner.config, len(tokens), self.inner.dtype, tokens.device)


def _settings(config: PeerConfig, vocab_size: int) -> Any:
    """The config of transformers. Raises UsageError for an unknown architecture, Unsupported for an encoder."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    arch = config.arch
    if arch not in CAUSAL:
        raise UsageError(unknown_architecture(arch, sorted(CAUSAL)))
    kind = CONFIG_MAPPING[arch]
    if config.settings:
        return kind.from_dict({**json.loads(config.settings), "vocab_size": vocab_size})
    fields = {name: getattr(kind, name, None) for name in inspect.signature(kind).parameters}
    if arch not in ARCHITECTURES and (fields.get("is_decoder") is False or fields.get("is_encoder_decoder")):
        raise Unsupported(f"{arch} is built as an encoder: each of its positions sees later tokens")
    renamed, entry = getattr(kind, "attribute_map", {}), config.entry
    common = {
        "vocab_size": vocab_size, "hidden_size": config.dim, "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads, "num_key_value_heads": config.heads,
        "head_dim": config.dim // config.heads, "intermediate_size": config.mlp, "tie_word_embeddings": config.tied,
        "max_position_embeddings": 4096, "pad_token_id": None, "bos_token_id": None, "eos_token_id": None,
    }
    given: dict[str, Any] = {
        name if name in fields else renamed.get(name, ""): value for name, value in common.items()
        if name not in entry.get("omit", ())}
    given |= {name: 0.0 for name, value in fields.items() if "drop" in name and isinstance(value, float)}
    given |= {name: _value(value, config.names) for name, value in entry.items() if name not in OWN}
    return kind(**{name: value for name, value in given.items() if name in fields})


def _value(value: Any, names: dict[str, Any]) -> Any:
    """An entry of the table: a number, or an expression of the file that comes with this one."""
    allowed = {"max": max, "list": list, "range": range}
    return eval(value, {"__builtins__": {}}, {**allowed, **names}) if isinstance(value, str) else value
