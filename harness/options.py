"""Options of a plugin are the fields of its config dataclass: their types parse and check what a user wrote."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import HarnessError, PluginError, UsageError, one_line, unknown
from .selector import Selector
from .specs import ModelSpec, resolve

TRUE, FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
WIDTHS = ("dim", "width")               # names of the field that sizes are solved for in
NUMBERS = {int: "an integer", float: "a number"}


def parse_value(text: str, kind: Any) -> Any:
    """Parse `text` as the annotation `kind`: bool, int, float, str, Literal, tuple[X, ...] or an optional of these.

    Tuples are written with "+" between the items (a comma separates plugins). Raises ValueError.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if text.lower() == "none" and type(None) in arguments:
            return None
        return parse_value(text, next(a for a in arguments if a is not type(None)))
    if origin is Literal:
        if text not in map(str, arguments):
            raise ValueError(f"one of {', '.join(map(str, arguments))}")
        return next(a for a in arguments if str(a) == text)
    if origin is tuple:
        return tuple(parse_value(part, arguments[0]) for part in text.split("+") if part and part != "none")
    if kind is bool:
        if text.lower() not in TRUE | FALSE:
            raise ValueError("true or false")
        return text.lower() in TRUE
    if kind is str:
        return text
    if kind not in NUMBERS:
        raise ValueError(f"set in Python, its type is {kind}")
    try:
        value = kind(text)
    except ValueError:
        raise ValueError(NUMBERS[kind]) from None
    if not math.isfinite(value):
        raise ValueError("finite")
    return value


def format_option(value: Any) -> str:
    """A value as `parse_value` reads it."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return "+".join(map(format_option, value)) if isinstance(value, tuple) else str(value)


def same_value(a: str, b: str) -> bool:
    """Whether two texts are one value for every kind that reads both: `0` and `0.0`, `no` and `false`."""
    if a == b or any({a.lower(), b.lower()} <= words for words in (TRUE, FALSE)):
        return True
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def spelled(selector: Selector, values: Mapping[str, Any]) -> Selector:
    """`selector` with each option written one way, as its value in `values`: layers=02 is layers=2."""
    return replace(selector, options=tuple((key, format_option(values[key])) for key, _ in selector.options))


def config_class(spec: ModelSpec) -> type:
    """The config dataclass of `spec`. Raises PluginError where it cannot be imported or is none."""
    try:
        kind = resolve(spec.config)
        get_type_hints(kind)
    except Exception as error:
        raise PluginError(f"{spec.name}: its config {spec.config} cannot be used: {one_line(error)}") from None
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise PluginError(f"{spec.name}: its config {spec.config} is not a dataclass")
    return kind


def parse_options(config: type, options: Mapping[str, str], owner: str) -> dict[str, Any]:
    """The typed values of `options` for the dataclass `config`. Raises UsageError naming the nearest field."""
    hints = get_type_hints(config)
    return _parsed({f.name: hints[f.name] for f in fields(config)}, options, owner)


def parse_arguments(target: str, options: Mapping[str, str], owner: str) -> dict[str, Any]:
    """The typed values of `options` for the function that `target` names, whose first parameter is none of them.

    "" names a function without options. Raises UsageError naming the nearest parameter.
    """
    function = resolve(target) if target else lambda first: None
    hints = get_type_hints(function)
    known = {name: hints.get(name, str) for name in list(inspect.signature(function).parameters)[1:]}
    return _parsed(known, options, owner)


def _parsed(known: Mapping[str, Any], options: Mapping[str, str], owner: str) -> dict[str, Any]:
    values = {}
    for key, text in options.items():
        if key not in known:
            raise unknown(f"option of {owner}", key, known)
        try:
            values[key] = parse_value(text, known[key])
        except ValueError as error:
            raise UsageError(f"option {key}={text!r} of {owner} must be {error}") from None
    return values


def describe_options(config: type) -> list[tuple[str, str, str]]:
    """(name, values, default) of every option as a user writes them; a default of "" is none, so one must be given."""
    hints = get_type_hints(config)
    return [(f.name, _values(hints[f.name]), _default(f)) for f in fields(config)]


def _values(kind: Any) -> str:
    """What `parse_value` reads for an annotation: "int|none", "real|complex", "str+..."."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "|".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return "|".join("none" if argument is type(None) else _values(argument) for argument in arguments)
    if origin is tuple:
        return f"{_values(arguments[0])}+..."
    if kind is bool:
        return "true|false"
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _default(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        return format_option(field.default_factory())
    return "" if field.default is MISSING else format_option(field.default)


def width_of(config: Any) -> str:
    """The field that sets the width, "" where there is none."""
    names = {f.name for f in fields(config)}
    return next((name for name in WIDTHS if name in names), "")


def solved_fields(config: Any) -> list[str]:
    """The fields that a size is solved for, from coarse to fine: the width, then its `knobs`, by default `hidden`.

    Raises PluginError for a knob that is no field.
    """
    names, knobs = {f.name for f in fields(config)}, getattr(config, "knobs", None)
    if knobs is None:
        knobs = ["hidden"] if "hidden" in names else []
    for name in knobs:
        if name not in names:
            raise PluginError(f"knobs of {type(config).__name__} names {name!r}, which is none of its fields")
    return [*filter(None, [width_of(config)]), *knobs]


def step_of(config: Any, name: str) -> int:
    """In multiples of what a size that is solved for may go: `width_step` of the config for its width, `hidden_step`
    for `hidden`, 1 where it says nothing. Raises PluginError for what is no such number."""
    return _whole(config, f"{_knob(config, name)}_step", 1)


def least_of(config: Any, name: str) -> int:
    """The smallest value that is tried: `width_least` or `hidden_least` of the config, its step where it says nothing.
    Raises PluginError for what is no such number."""
    return _whole(config, f"{_knob(config, name)}_least", step_of(config, name))


def _knob(config: Any, name: str) -> str:
    return "width" if name == width_of(config) else name


def _whole(config: Any, attribute: str, default: int) -> int:
    value = getattr(config, attribute, default)
    if not isinstance(value, int) or value < 1:
        raise PluginError(f"{attribute} of {type(config).__name__} must be a whole number of at least 1, is {value!r}")
    return value


def make_config(spec: ModelSpec, options: Mapping[str, str], preset: str = "") -> Any:
    """The config of `spec`: its defaults, then the published preset, then the user's options.

    Raises UsageError for an option or a size that it refuses, PluginError where the config itself, or what an option
    names, cannot be used.
    """
    kind = config_class(spec)
    presets = getattr(kind, "PRESETS", {})
    if preset and preset not in presets:
        raise unknown(f"size of {spec.name}", preset, presets)
    values = {**presets.get(preset, {}), **parse_options(kind, options, spec.name)}
    try:
        config = kind(**values)
        if (width := width_of(config)) and getattr(config, width) < 1:
            raise ValueError(f"{width}={getattr(config, width)} must be at least 1")
        return config
    except HarnessError:
        raise
    except Exception as error:                              # a plugin's own checks, or an arithmetic slip in them
        text = str(error) if isinstance(error, ValueError) else one_line(error)
        raise UsageError(f"{spec.name} refuses these options: {text}") from None
