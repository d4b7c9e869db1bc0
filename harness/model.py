"""The model contract, and building a model from its spec.

Notable:
- one signature, `forward(tokens, state=None) -> (logits, state)`: prefill is forward(prompt), decode is
  forward(token, state), and splitting a text anywhere must not change the logits (the split law);
- parameters are counted in real degrees of freedom, the vocabulary tables apart;
- `--params N` is reached by solving for the width on the meta device, then for the hidden size of the MLP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .errors import UsageError
from .options import make_config
from .specs import ModelSpec, resolve


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

    def read_vocabulary(self, vocabulary: Sequence[bytes]) -> None:
        """Told once, after building: the bytes that each token stands for, b"" for specials. For models that look at
        the text of a token; whatever they make of it belongs into buffers that are not saved."""

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """Further terms of the loss of the last forward, already weighted by the plugin's own config."""
        return {}

    def diagnostics(self) -> dict[str, float]:
        """Interpretability numbers of the last forward."""
        return {}

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that grow with the vocabulary; by default those with a dimension of that size."""
        return (p for p in self.parameters() if self.vocab_size in p.shape)


class TokenHistory(LanguageModel):
    """A model without a recurrent form: its state is the tokens so far, re-read on every call.

    A subclass implements `logits(tokens)`: (B, T) -> (B, T, V). The cost of decoding is honest: O(context) a token.
    """

    def logits(self, tokens: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__}.logits")

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        history = tokens if state is None else torch.cat([state, tokens], dim=1)     # (B, T_past + T)
        return self.logits(history)[:, -tokens.shape[1]:], history


def state_bytes(state: Any) -> int:
    """Bytes of the distinct tensors of a state: measured, not declared."""
    tensors = {id(leaf): leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)}
    return sum(t.numel() * t.element_size() for t in tensors.values())


@dataclass(frozen=True)
class ParameterCount:
    """Real degrees of freedom: a complex weight counts twice, a tied one once."""

    total: int
    embedding: int

    @property
    def non_embedding(self) -> int:
        return self.total - self.embedding


def count_parameters(model: LanguageModel) -> ParameterCount:
    def reals(parameters) -> int:
        return sum(p.numel() * (2 if p.is_complex() else 1) for p in {id(p): p for p in parameters}.values())

    return ParameterCount(reals(model.parameters()), reals(model.embedding_parameters()))


@dataclass(frozen=True)
class Match:
    """What `--params N` reached: the config, its count, and how far off it is."""

    config: Any
    count: ParameterCount
    target: int

    TOLERANCE: ClassVar[float] = 0.02

    @property
    def error(self) -> float:
        return self.count.non_embedding / self.target - 1

    @property
    def note(self) -> str:
        if abs(self.error) <= self.TOLERANCE:
            return ""
        return f"nearest reachable to {self.target} parameters is {self.count.non_embedding} ({self.error:+.1%})"


def match_parameters(spec: ModelSpec, config: Any, fixed: set[str], vocab_size: int, target: int) -> Match:
    """Solve the width (`dim` or `width`), then `hidden` if there is one, for `target` non-embedding parameters.

    Fields the user fixed are not touched. Raises UsageError where the config has no width.
    """
    model_class = resolve(spec.target)
    names = {f.name for f in fields(config)}
    width = next((n for n in ("dim", "width") if n in names), None)
    if width is None:
        raise UsageError(f"{spec.name} has no dim or width to match parameters with; use --size or no --params")
    step = getattr(config, "width_step", 1)

    def count(candidate: Any) -> ParameterCount:
        with torch.device("meta"):
            return count_parameters(model_class(candidate, vocab_size))

    def nearest(start: Any, name: str, step: int) -> Any:
        """Bisect for the value of field `name`, in multiples of `step`, whose count is nearest to the target."""
        low, high = 1, 2
        while count(replace(start, **{name: high * step})).non_embedding < target:
            low, high = high, high * 2
            if high * step > 1 << 20:
                raise UsageError(f"{spec.name} cannot reach {target} parameters")
        while high - low > 1:
            middle = (low + high) // 2
            if count(replace(start, **{name: middle * step})).non_embedding < target:
                low = middle
            else:
                high = middle
        candidates = [replace(start, **{name: n * step}) for n in (low, high)]
        return min(candidates, key=lambda c: abs(count(c).non_embedding - target))

    if width not in fixed:
        config = nearest(config, width, step)
    solvable = "hidden" in names and "hidden" not in fixed
    if solvable and count(replace(config, hidden=1)) != count(replace(config, hidden=2)):   # equal without an MLP
        config = nearest(config, "hidden", 1)
    return Match(config, count(config), target)


@dataclass(frozen=True)
class Built:
    """A model with the facts of its building. `note` says how a parameter target was missed, or ""."""

    model: LanguageModel
    config: Any
    count: ParameterCount
    note: str = ""


def build(
    spec: ModelSpec, options: Mapping[str, str], vocab_size: int, *,
    preset: str = "", params: int = 0, seed: int = 0, device: str = "cpu", vocabulary: Sequence[bytes] = (),
) -> Built:
    """Build a model: a published `preset`, or the width that gives `params`, or its default config.

    `vocabulary` (the bytes of every token) is shown to the model where it is known.
    """
    config, note = make_config(spec, options, preset), ""
    if params and not preset:
        match = match_parameters(spec, config, set(options), vocab_size, params)
        config, note = match.config, match.note
    torch.manual_seed(seed)
    model = resolve(spec.target)(config, vocab_size)
    if not isinstance(model, LanguageModel):
        raise UsageError(f"{spec.target} is a {type(model).__name__}, not a LanguageModel")
    if vocabulary:
        model.read_vocabulary(vocabulary)
    model = model.to(device)
    return Built(model, config, count_parameters(model), note)
