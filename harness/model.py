"""The model contract, and building a model from its spec.

Notable:
- one signature, `forward(tokens, state=None) -> (logits, state)`: prefill is forward(prompt), decode is
  forward(token, state), and splitting a text anywhere must not change the logits (the split law);
- parameters are counted in real degrees of freedom, the vocabulary tables apart;
- what is to be equal, parameters or the state, decides the width: see sizing.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .errors import AuditFailed, Unsupported
from .meta import constant_parameters

LONGEST_NAME = 32                       # characters of a key of a state


class LanguageModel(nn.Module):
    """Base of every model. A subclass takes `(config, vocab_size)` and implements `forward`.

    The state is any nest of tuples, lists and dicts of tensors, batch first; None at the start of a text.
    """

    vocab_size: int

    def __init__(self, config: Any, vocab_size: int):
        super().__init__()
        self.config, self.vocab_size = config, vocab_size

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(B, T) int64 -> logits (B, T, V), state after the last token."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def advance(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """As `forward`, of a state that nobody uses again: what decoding times. For models whose layers write into the
        state that they are given, so that `forward` has to copy it first."""
        found: tuple[Tensor, Any] = self(tokens, state)
        return found

    def hidden_states(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(B, T) int64 -> what the output head reads (B, T, D), real, and the state after the last token.

        By default what its output map is given, the one module called `head`, say; of complex numbers real and
        imaginary parts side by side. Raises Unsupported for a model without one: it may say here what its hidden
        states are.
        """
        seen: list[Tensor] = []
        hook = _output_map(self).register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        try:
            _, after = self(tokens, state)
        finally:
            hook.remove()
        if len(seen) != 1 or seen[0].shape[:2] != tokens.shape or seen[0].dim() != 3:
            raise Unsupported(f"the head of {type(self).__name__} is not called once with one vector a token; its "
                              "hidden_states is to say what they are")
        return torch.view_as_real(seen[0]).flatten(2) if seen[0].is_complex() else seen[0], after

    def read_vocabulary(self, vocabulary: Sequence[bytes]) -> None:
        """Told once, after building: the bytes that each token stands for, b"" for specials. For models that look at
        the text of a token; whatever they make of it belongs into buffers that are not saved."""

    def note(self) -> str:
        """What a reader of its rows is to know, "" for nothing."""
        return ""

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """Further terms of the loss of the last forward, already weighted by the plugin's own config."""
        return {}

    def diagnostics(self) -> dict[str, float]:
        """Interpretability numbers of the last forward."""
        return {}

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that grow with the vocabulary: by default those that are another size in a model of a larger one,
        and where none can be built, those with a dimension of that size."""
        constant = constant_parameters(self, lambda size: type(self)(self.config, size), self.vocab_size)
        if constant is None:
            return (p for p in self.parameters() if self.vocab_size in p.shape)
        return (p for name, p in self.named_parameters() if name not in constant)


def _output_map(model: LanguageModel) -> nn.Module:
    """The module that makes logits: the one called `head`, or what a model of transformers within names as such, or
    the one whose name ends in `lm_head`. Raises Unsupported where none of these is exactly one."""
    named = dict(model.named_modules())
    heads = [module for name, module in named.items() if name.rpartition(".")[2] == "head"]
    told = [module.get_output_embeddings() for module in named.values() if hasattr(module, "get_output_embeddings")]
    ways = (heads, {module for module in told if isinstance(module, nn.Module)},
            [module for name, module in named.items() if name.endswith("lm_head")])
    for found in ways:
        if len(found) == 1:
            return next(iter(found))
    raise Unsupported(f"{type(model).__name__} has {len(heads) or 'no'} modules called head, names no other output "
                      "map, and has no hidden_states of its own")


class TokenHistory(LanguageModel):
    """A model without a recurrent form: its state is the tokens so far, re-read on every call.

    A subclass implements `logits(tokens)`: (B, T) -> (B, T, V). The cost of decoding is honest: O(context) a token.
    """

    def logits(self, tokens: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__}.logits")

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        history = tokens if state is None else torch.cat([state, tokens], dim=1)     # (B, T_past + T)
        return self.logits(history)[:, -tokens.shape[1]:], history


def copied_state(state: Any) -> Any:
    """A state to write into, the given one left alone: the same nest of the same types, with a copy of each tensor."""
    return pytree.tree_map_only(Tensor, torch.clone, state)


def state_bytes(state: Any) -> int:
    """Bytes that a state takes when it is written down: measured, not declared.

    A tensor takes what it shows, though it be a view of a larger one, and once however often it occurs; a number, as a
    key of a dict too, takes 8 bytes or as many as an integer needs. What is empty, or occurs again, takes a byte where
    there is more of it than of other parts: their number could tell something. Raises AuditFailed for anything else.
    """
    sizes, seen, empty = list[int](), set[int](), 0
    for part in _parts(state):
        size = 0 if isinstance(part, Tensor) and id(part) in seen else _part_bytes(part)
        seen.add(id(part))
        sizes += [size] if size else []
        empty += not size
    return sum(sizes) + max(0, empty - max(1, len(sizes)))


def _parts(state: Any) -> Iterator[Any]:
    """What a nest is made of: its leaves, empty ones too, and keys of dicts that are more than a name."""
    if getattr(state, "__dict__", None) or not isinstance(state, dict | list | tuple) or not state:
        yield state
        return
    if isinstance(state, dict):
        for key in state:
            if not isinstance(key, str) or len(key) > LONGEST_NAME:
                yield from _parts(key)
    for part in state.values() if isinstance(state, dict) else state:
        yield from _parts(part)


def _part_bytes(part: Any) -> int:
    if not getattr(part, "__dict__", None):
        match part:
            case None | () | {}:
                return 0
            case int():
                return max(8, part.bit_length() // 8 + 1)
            case float():
                return 8
            case Tensor():
                return part.numel() * part.element_size() or 8 * part.dim()
    raise AuditFailed(f"the state holds a {type(part).__name__}; it is to be a nest of tuples, lists and dicts of "
                      "plain tensors and numbers, so that its size can be measured")


@dataclass(frozen=True)
class ParameterCount:
    """Real degrees of freedom: a complex weight counts twice, a tied one once."""

    total: int
    embedding: int

    @property
    def non_embedding(self) -> int:
        return self.total - self.embedding


def table_names(model: LanguageModel) -> set[str]:
    """Of the parameters that grow with the vocabulary."""
    tables = {id(parameter) for parameter in model.embedding_parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in tables}


def count_parameters(model: LanguageModel, tables: set[str] | None = None) -> ParameterCount:
    """Its parameters, and of them those that grow with the vocabulary: `tables` by name, where they are known."""
    def reals(parameters: Iterator[nn.Parameter]) -> int:
        return sum(p.numel() * (2 if p.is_complex() else 1) for p in {id(p): p for p in parameters}.values())

    if tables is None:
        return ParameterCount(reals(model.parameters()), reals(model.embedding_parameters()))
    named = (parameter for name, parameter in model.named_parameters() if name in tables)
    return ParameterCount(reals(model.parameters()), reals(named))
