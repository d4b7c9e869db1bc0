"""Options: the config dataclass says what a user may set; anything else is one clear line."""

import sys
from dataclasses import MISSING, dataclass, field, fields
from typing import ClassVar, Literal, get_type_hints

import pytest

from harness import registry
from harness.errors import PluginError, UsageError
from harness.options import (
    config_class,
    describe_options,
    make_config,
    parse_arguments,
    parse_options,
    parse_value,
)
from harness.specs import ModelSpec

HERE = __name__


@dataclass(frozen=True)
class Config:
    dim: int = 8
    rate: float = 0.5
    kind: Literal["real", "complex"] = "real"
    banks: tuple[str, ...] = ("a", "b")
    hidden: int | None = None
    tied: bool = False
    label: str = ""
    sizes: tuple[int, ...] = field(default_factory=lambda: (1, 2))
    table: dict[str, int] | None = None
    PRESETS: ClassVar = {"tiny": {"dim": 4, "tied": True}}

    def __post_init__(self):
        if self.dim < 1:
            raise ValueError(f"dim must be at least 1, got {self.dim}")
        assert self.rate != 2, "rate 2"
        1 / (self.dim - 13)


@dataclass(frozen=True)
class Misannotated:
    dim: "NoSuchType" = 1           # noqa: F821


class NoDataclass:
    dim = 3


def spec(config="Config"):
    return ModelSpec("m", f"{HERE}:Model", f"{HERE}:{config}", "classical", "", "")


@pytest.mark.parametrize(("text", "kind", "value"), [
    ("7", int, 7), ("-7", int, -7), ("1e-3", float, 1e-3), ("yes", bool, True), ("OFF", bool, False),
    ("x=y", str, "x=y"), ("real", Literal["real", "complex"], "real"), ("2", Literal[1, 2], 2),
    ("1+2", tuple[int, ...], (1, 2)),
    ("none", tuple[str, ...], ()), ("none", int | None, None), ("3", int | None, 3),
])
def test_values_are_parsed_by_their_annotation(text, kind, value):
    parsed = parse_value(text, kind)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(("text", "kind", "reason"), [
    ("7.5", int, "an integer"), ("x", float, "a number"), ("nan", float, "finite"), ("inf", float, "finite"),
    ("maybe", bool, "true or false"), ("imaginary", Literal["real", "complex"], "one of real, complex"),
    ("1+x", tuple[int, ...], "an integer"), ("a", dict[str, int], "set in Python"), ("a", list, "set in Python"),
])
def test_wrong_values_say_what_is_wanted(text, kind, reason):
    with pytest.raises(ValueError, match=reason):
        parse_value(text, kind)


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(UsageError, match="unknown option of m 'hiden'; did you mean 'hidden'"):
        parse_options(Config, {"hiden": "3"}, "m")


def load(argument, count: int = 3, label="x"):
    return argument, count, label


def test_the_parameters_of_a_function_are_options_but_for_its_first():
    assert parse_arguments(f"{HERE}:load", {"count": "7", "label": "9"}, "m") == {"count": 7, "label": "9"}
    assert parse_arguments("", {}, "m") == {}
    for target, key, reason in ((f"{HERE}:load", "argument", "known: count, label"), ("", "count", "known: none")):
        with pytest.raises(UsageError, match=f"unknown option of m '{key}'; {reason}"):
            parse_arguments(target, {key: "1"}, "m")


def test_a_wrong_value_names_option_text_and_owner():
    with pytest.raises(UsageError, match="option dim='x' of m must be an integer"):
        parse_options(Config, {"dim": "x"}, "m")


def test_defaults_then_preset_then_options():
    assert make_config(spec(), {}) == Config()
    assert make_config(spec(), {}, "tiny") == Config(dim=4, tied=True)
    assert make_config(spec(), {"dim": "6"}, "tiny") == Config(dim=6, tied=True)


@pytest.mark.parametrize(("options", "preset", "reason"), [
    ({}, "tyni", "unknown size of m 'tyni'; did you mean 'tiny'"),
    ({"dim": "0"}, "", "m refuses these options: dim must be at least 1, got 0"),
    ({"rate": "2"}, "", "AssertionError: rate 2"),
    ({"dim": "13"}, "", "ZeroDivisionError"),
])
def test_what_a_config_refuses_is_a_mistake_of_the_command_line(options, preset, reason):
    with pytest.raises(UsageError, match=reason):
        make_config(spec(), options, preset)


@pytest.mark.parametrize(("config", "reason"), [
    ("NoDataclass", "is not a dataclass"), ("Absent", "AttributeError"), ("Misannotated", "NameError"),
])
def test_a_config_that_cannot_be_used_is_the_plugins_fault(config, reason):
    with pytest.raises(PluginError, match=f"m: its config {HERE}:{config}.*{reason}"):
        make_config(spec(config), {})


def test_a_config_that_cannot_be_imported_is_the_plugins_fault():
    absent = ModelSpec("m", "no.such:Model", "no.such:Config", "classical", "", "")
    with pytest.raises(PluginError, match=r"no\.such:Config cannot be used: ModuleNotFoundError"):
        make_config(absent, {})


def test_options_are_described_for_help():
    described = {name: (kind, default) for name, kind, default in describe_options(Config)}
    assert described["kind"] == ("real|complex", "real")
    assert described["dim"] == ("int", "8")
    assert described["hidden"] == ("int|none", "none")
    assert described["banks"] == ("str+...", "a+b")
    assert described["sizes"] == ("int+...", "1+2")
    assert described["tied"] == ("true|false", "false")
    assert HERE in sys.modules          # the targets above name this module


@pytest.mark.parametrize("kind", [Config, *(
    config_class(model) for model in registry.load().models.values() if model.target.startswith("harness."))])
def test_a_default_that_is_shown_is_what_the_command_line_reads(kind):
    hints = get_type_hints(kind)
    defaults = {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(kind)}
    for name, _, shown in describe_options(kind):
        if name != "table" and shown:
            assert parse_value(shown, hints[name]) == defaults[name]
