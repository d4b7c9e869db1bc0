"""Options of a plugin are the fields of its config dataclass: their types parse and check what a user wrote."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import UsageError, unknown
from .specs import ModelSpec, resolve

TRUE, FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


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
    try:
        return kind(text)
    except (TypeError, ValueError):
        raise ValueError({int: "an integer", float: "a number"}.get(kind, f"a {kind}")) from None


def parse_options(config: type, options: Mapping[str, str], owner: str) -> dict[str, Any]:
    """The typed values of `options` for the dataclass `config`. Raises UsageError naming the nearest field."""
    hints = get_type_hints(config)
    known = {f.name: hints[f.name] for f in fields(config)}
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
    """(name, type, default) of every option, for help texts."""
    hints = get_type_hints(config)

    def words(kind: Any) -> str:
        if get_origin(kind) is Literal:
            return "|".join(map(str, get_args(kind)))
        return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")

    return [
        (f.name, words(hints[f.name]), "" if f.default is MISSING else str(f.default))
        for f in fields(config)
    ]


def make_config(spec: ModelSpec, options: Mapping[str, str], preset: str = "") -> Any:
    """The config of `spec`: its defaults, then the published preset, then the user's options. Raises UsageError."""
    kind = resolve(spec.config)
    presets = getattr(kind, "PRESETS", {})
    if preset and preset not in presets:
        raise unknown(f"size of {spec.name}", preset, presets)
    values = {**presets.get(preset, {}), **parse_options(kind, options, spec.name)}
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{spec.name}: {error}") from None
