"""Making models equal in what is compared: the width that gives so many parameters, or a state of so many bytes.

Parameters are counted on the meta device. The state is measured: a model of the width reads a text of the length.

The nearest width can be too wide, and a finer knob then pays for it: a recurrence with a state of 1 has the parameters
that were asked for and is another model. Where a knob would fall that far, the other width is tried too.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from .errors import HarnessError, PluginError, Unsupported, UsageError, one_line
from .meta import without_storage
from .model import LanguageModel, ParameterCount, count_parameters, state_bytes, table_names
from .options import WIDTHS, least_of, solved_fields, step_of, width_of
from .specs import ModelSpec, resolve

WIDEST = 1 << 20
DOUBLED = 11                            # doublings from the smallest value, in which its effect has to show
MOST_PARAMETERS = 20_000_000            # that a state may take: more would not be trained in the time of the others
FAR = 4                                 # times its default, or a part of it: further off a knob makes another model


@dataclass(frozen=True)
class Knob:
    """A field behind the width: what was solved, and what it is by default in a model of that width."""

    name: str
    value: int
    default: int
    least: int

    @property
    def fell(self) -> bool:
        return self.value < self.default and (self.value <= self.least or self.value * FAR < self.default)

    @property
    def distance(self) -> float:
        return abs(math.log(self.value / self.default))

    @property
    def note(self) -> str:
        if not self.fell and self.value <= FAR * self.default:
            return ""
        end = ", the least that it takes," if self.value <= self.least else ""
        return f"{self.name} is {self.value}{end} where its default is {self.default}"


@dataclass(frozen=True)
class Match:
    """What `--params N` reached: the config, its count, how far off it is, and what was turned behind the width."""

    config: Any
    count: ParameterCount
    target: int
    knobs: tuple[Knob, ...] = ()

    TOLERANCE: ClassVar[float] = 0.02

    @property
    def error(self) -> float:
        return self.count.non_embedding / self.target - 1

    @property
    def missed(self) -> bool:
        return abs(self.count.non_embedding - self.target) > self.TOLERANCE * self.target

    @property
    def fell(self) -> bool:
        return any(knob.fell for knob in self.knobs)

    @property
    def rank(self) -> tuple[float, int, float]:
        """Smaller is better: within the tolerance, or nearest to it; few knobs far off; near to the proportions that
        the model has by default."""
        return (abs(self.error) if self.missed else 0.0, sum(bool(knob.note) for knob in self.knobs),
                sum(knob.distance for knob in self.knobs))

    @property
    def note(self) -> str:
        far = [knob.note for knob in self.knobs if knob.note]
        if not self.missed:
            return "; ".join(far)
        return "; ".join([f"nearest reachable to {self.target} parameters is {self.count.non_embedding} "
                          f"({self.error:+.1%})", *far])


class StepRefused(PluginError):
    """A size that was solved for and that the model does not take, although it takes its default."""

    def __init__(self, model: str, field: str, value: int, step: int, error: Exception):
        knob = "width" if field in WIDTHS else field
        tried = (f"multiples of its {knob}_step ({step})" if step > 1
                 else f"every value, for its config has no {knob}_step")
        super().__init__(f"{model} does not take {field}={value} ({one_line(error)}); sizes are solved for in {tried}: "
                         f"let {knob}_step of the config give the multiple that {field} must be of, such as heads, and "
                         f"{knob}_least the smallest that it takes")


def match_parameters(spec: ModelSpec, config: Any, fixed: set[str], vocab_size: int, target: int) -> Match:
    """Solve the width (`dim` or `width`), then its finer knobs, `hidden` if there is one, for `target` non-embedding
    parameters.

    Each takes the value that comes nearest. Only where a knob falls far below its default are the values on the other
    side of the target tried as well, and the best Match.rank is taken. Fields the user fixed are not touched. Raises
    UsageError where the config has no width, StepRefused where the model does not take a size that is tried.
    """
    if not (width := width_of(config)):
        raise UsageError(f"{spec.name} has no dim or width to match parameters with; use --size or no --params")

    tables = table_names(_on_meta(spec, config, vocab_size))    # the same at every width

    def size(candidate: Any) -> int:
        return count_parameters(_on_meta(spec, candidate, vocab_size), tables).non_embedding

    def matches(start: Any, names: list[str], knobs: tuple[Knob, ...] = ()) -> Iterator[Match]:
        """The nearest value of every field first, then what the other sides give."""
        if not names:
            yield Match(start, count_on_meta(spec, start, vocab_size), target, knobs)
            return
        name, *finer = names
        field = Field(spec.name, start, name, size)
        if name != width and not field.matters():           # it has no MLP
            yield from matches(start, finer, knobs)
            return
        nearest, other = field.around(target, f"{target} parameters")
        yield from matches(field.at(nearest), finer, knobs + (() if name == width else field.knob(nearest)))
        if finer:
            try:
                yield from matches(field.at(other), finer, knobs + (() if name == width else field.knob(other)))
            except HarnessError:                            # beside the nearest, what cannot be built is no choice
                return

    every = matches(config, [name for name in solved_fields(config) if name not in fixed])
    first = next(every)
    return min([first, *every], key=lambda match: match.rank) if first.fell else first


def match_state(
    spec: ModelSpec, config: Any, fixed: set[str], vocab_size: int, target: int, seq_len: int,
) -> tuple[Any, str]:
    """Solve the width for a state of `target` bytes after one text of `seq_len` tokens: the config, and how far off the
    nearest is, "" within Match.TOLERANCE.

    Raises UsageError where the width is fixed, Unsupported where the state does not depend on it, or takes a model of
    more than MOST_PARAMETERS, StepRefused where the model does not take a width that is tried.
    """
    width = width_of(config)
    if width in fixed:
        raise UsageError(f"{spec.name}:{width}={getattr(config, width)} fixes what --state-bytes solves for")

    def size(candidate: Any) -> int:
        params = count_on_meta(spec, candidate, vocab_size).non_embedding
        if params > MOST_PARAMETERS:
            raise Unsupported(f"a state of {target} bytes takes {spec.name} more than {MOST_PARAMETERS:,} parameters")
        model = resolve(spec.target)(candidate, vocab_size).eval()
        with torch.no_grad():
            return state_bytes(model(torch.zeros(1, seq_len, dtype=torch.int64))[1])

    field = Field(spec.name, config, width, size)
    if not width or not field.matters():
        raise Unsupported(f"the state of {spec.name} does not depend on its width")
    found = field.nearest(target, f"a state of {target} bytes")
    reached = size(found)
    if abs(reached / target - 1) <= Match.TOLERANCE:
        return found, ""
    return found, f"nearest reachable to a state of {target} bytes is {reached} ({reached / target - 1:+.1%})"


def count_on_meta(spec: ModelSpec, config: Any, vocab_size: int) -> ParameterCount:
    return count_parameters(_on_meta(spec, config, vocab_size))


def _on_meta(spec: ModelSpec, config: Any, vocab_size: int) -> LanguageModel:
    for package in spec.requires:                           # some compute numbers as they are imported
        with suppress(ImportError):                         # the model says what it misses
            importlib.import_module(package)
    with without_storage():
        model: LanguageModel = resolve(spec.target)(config, vocab_size)
        return model


class Field:
    """A field of a model's config that a size is solved for, in multiples of its step; `size`, of a config, grows with
    it. Raises UsageError for a step that is none."""

    def __init__(self, model: str, config: Any, name: str, size: Callable[[Any], int]):
        self.model, self.config, self.name, self.size = model, config, name, size
        self.step = step_of(config, name)
        self.first = -(-least_of(config, name) // self.step)            # steps to its smallest value
        self.known: dict[int, int] = {}                                 # sizes by steps: one costs building a model

    def at(self, count: int) -> Any:
        return replace(self.config, **{self.name: count * self.step})

    def value(self, count: int) -> int:
        """The size at so many steps. Raises StepRefused where only the value of the field is what the model refuses."""
        if count not in self.known:
            try:
                self.known[count] = self.size(self.at(count))
            except HarnessError:
                raise
            except Exception as error:
                self.size(self.config)                      # what is wrong by default is raised as it is
                raise StepRefused(self.model, self.name, count * self.step, self.step, error) from error
        return self.known[count]

    def matters(self) -> bool:
        """Whether the size depends on it. What is rounded to a multiple stays as it is for some doublings."""
        least = self.value(self.first)
        return any(self.value(self.first << doubled) != least for doubled in range(1, DOUBLED))

    def around(self, target: int, what: str) -> tuple[int, int]:
        """Steps to the size that is nearest to the target, and to the one on its other side: doubled until the target
        is exceeded, then bisected.

        Raises UsageError beyond WIDEST.
        """
        low, high = self.first, 2 * self.first
        while self.value(high) < target:
            low, high = high, high * 2
            if high * self.step > WIDEST:
                raise UsageError(f"{self.model} cannot reach {what}")
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.value(middle) < target else (low, middle)
        nearest, other = sorted((low, high), key=lambda count: abs(self.value(count) - target))
        return nearest, other

    def nearest(self, target: int, what: str) -> Any:
        """The config whose size is nearest to the target. Raises UsageError beyond WIDEST."""
        return self.at(self.around(target, what)[0])

    def knob(self, count: int) -> tuple[Knob, ...]:
        """What so many steps are beside its default; nothing where its default is no size.

        None, "decide it from the rest", is the value that gives as many parameters.
        """
        default = getattr(self.config, self.name)
        if default is None:
            size = self.size(self.config)
            if size < self.value(self.first):               # None is without it, not some size of it
                return ()
            try:
                default = self.around(size, "its default")[0] * self.step
            except HarnessError:                            # more than it gives at any value that is taken
                return ()
        return (Knob(self.name, count * self.step, default, self.first * self.step),) if default > 0 else ()
