"""Making models equal in what is compared: the width that gives so many parameters, or a state of so many bytes.

Parameters are counted on the meta device. The state is measured: a model of the width reads a text of the length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .errors import Unsupported, UsageError
from .model import ParameterCount, count_parameters, state_bytes
from .options import width_of
from .specs import ModelSpec, resolve

WIDEST = 1 << 20
DRAWS = (Tensor.normal_, Tensor.uniform_, Tensor.random_, Tensor.bernoulli_, Tensor.exponential_)
MOST_PARAMETERS = 20_000_000            # that a state may take: more would not be trained in the time of the others


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
    width, names = width_of(config), {f.name for f in fields(config)}
    if not width:
        raise UsageError(f"{spec.name} has no dim or width to match parameters with; use --size or no --params")

    def count(candidate: Any) -> ParameterCount:
        return count_on_meta(spec, candidate, vocab_size)

    def nearest_count(start: Any, name: str, step: int) -> Any:
        return nearest(start, name, step, lambda candidate: count(candidate).non_embedding, target,
                       f"{spec.name} cannot reach {target} parameters")

    if width not in fixed:
        config = nearest_count(config, width, getattr(config, "width_step", 1))
    solvable = "hidden" in names and "hidden" not in fixed
    if solvable and count(replace(config, hidden=1)) != count(replace(config, hidden=2)):   # equal without an MLP
        config = nearest_count(config, "hidden", 1)
    return Match(config, count(config), target)


def match_state(
    spec: ModelSpec, config: Any, fixed: set[str], vocab_size: int, target: int, seq_len: int,
) -> tuple[Any, str]:
    """Solve the width for a state of `target` bytes after one text of `seq_len` tokens: the config, and how far off the
    nearest is, "" within Match.TOLERANCE.

    Raises UsageError where the width is fixed, Unsupported where the state does not depend on it, or takes a model of
    more than MOST_PARAMETERS.
    """
    width, step = width_of(config), getattr(config, "width_step", 1)
    if width in fixed:
        raise UsageError(f"{spec.name}:{width}={getattr(config, width)} fixes what --state-bytes solves for")

    def size(candidate: Any) -> int:
        params = count_on_meta(spec, candidate, vocab_size).non_embedding
        if params > MOST_PARAMETERS:
            raise Unsupported(f"a state of {target} bytes takes {spec.name} more than {MOST_PARAMETERS:,} parameters")
        model = resolve(spec.target)(candidate, vocab_size).eval()
        with torch.no_grad():
            return state_bytes(model(torch.zeros(1, seq_len, dtype=torch.int64))[1])

    if not width or size(replace(config, **{width: step})) == size(replace(config, **{width: 4 * step})):
        raise Unsupported(f"the state of {spec.name} does not depend on its width")
    found = nearest(config, width, step, size, target, f"{spec.name} cannot reach a state of {target} bytes")
    reached = size(found)
    if abs(reached / target - 1) <= Match.TOLERANCE:
        return found, ""
    return found, f"nearest reachable to a state of {target} bytes is {reached} ({reached / target - 1:+.1%})"


class Unfilled(TorchFunctionMode):
    """Leaves tensors as they are allocated. Drawing values for tensors without storage costs more than all the rest."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in DRAWS or getattr(function, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


def count_on_meta(spec: ModelSpec, config: Any, vocab_size: int) -> ParameterCount:
    with torch.device("meta"), Unfilled():
        return count_parameters(resolve(spec.target)(config, vocab_size))


def nearest(config: Any, name: str, step: int, value: Callable[[Any], int], target: int, refusal: str) -> Any:
    """`config` with the value of field `name`, in multiples of `step`, at which `value`, which grows, is nearest to the
    target: doubled until it is exceeded, then bisected. Raises UsageError(refusal) beyond WIDEST."""
    def at(count: int) -> Any:
        return replace(config, **{name: count * step})

    low, high = 1, 2
    while value(at(high)) < target:
        low, high = high, high * 2
        if high * step > WIDEST:
            raise UsageError(refusal)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if value(at(middle)) < target else (low, middle)
    return min((at(low), at(high)), key=lambda candidate: abs(value(candidate) - target))
