"""What the commands share: common options, a signature from an options class, loading the registry. (no torch)"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ..run import flags

if TYPE_CHECKING:
    from ..registry import Registry
    from ..store import Row


def load_registry(files: list[Path] | None) -> Registry:
    """Every plugin, with those that -p names. Raises PluginError where one of these does not load."""
    return load_listed(files).hold_to_named()


def load_listed(files: list[Path] | None) -> Registry:
    """Every plugin, for a list that also shows what does not load."""
    from ..registry import load

    return load(files or [])


def completion(flag: flags.Flag) -> Callable[[str], list[str]] | None:
    """What a shell completes of a flag: its choices, or what is registered of its kind; the last item of a list."""
    if flag.choices:
        return lambda incomplete: [choice for choice in flag.choices if choice.startswith(incomplete)]
    if not flag.complete:
        return None

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        known = getattr(load_registry(None), flag.complete)
        return [before + comma + name for name in known if name.startswith(last)]

    return complete


complete_models = completion(flags.PLUGINS)
complete_suites = completion(flags.SUITES)


def _option(flag: flags.Flag) -> Any:
    """A flag as an option of a command that has it under its own name."""
    return typer.Option(help=flag.help, metavar=flag.metavar, autocompletion=completion(flag))


def given(context: typer.Context) -> set[str]:
    """Names of the parameters that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def print_json(rows: Iterable[Row]) -> None:
    """A row a line, what is empty left out."""
    from dataclasses import asdict

    print_objects("row", ({k: v for k, v in asdict(row).items() if v not in (None, "")} for row in rows))


def print_objects(kind: str, objects: Iterable[Mapping[str, Any]]) -> None:
    """What every command prints with --json: one object a line, which tells its kind and has no NaN."""
    from ..store import finite

    for one in objects:
        print(json.dumps(finite({"kind": kind, **one})))


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as typer calls it: the flags of its parameter `options` are spread out in that parameter's place.

    The type of `options` is a class of `harness.run.flags`.
    """
    hints = get_type_hints(command, include_extras=True)
    kind = hints["options"]
    names = [field.name for field in fields(kind)]

    def called(**values: Any) -> None:
        chosen = {name: values.pop(name) for name in names}
        options = kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in chosen.items()})
        command(options=options, **values)

    parameters: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        spread = _spread(kind) if name == "options" else [parameter.replace(annotation=hints[name])]
        parameters += [one.replace(kind=Parameter.KEYWORD_ONLY) for one in spread]
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    called.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return called


def _spread(kind: type) -> list[Parameter]:
    """A parameter for each flag of an options class."""
    hints, known = get_type_hints(kind), flags.flags_of(kind)
    found = []
    for field in fields(kind):
        flag, hint = known[field.name], hints[field.name]
        info = typer.Argument if flag.argument else typer.Option
        written = info(*flag.names, help=flag.help, metavar=flag.metavar, autocompletion=completion(flag))
        default: Any = Parameter.empty if field.default is MISSING else field.default
        if hint == tuple[str, ...]:
            hint, default = list[str], list(default)
        found.append(Parameter(
            field.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, written]))
    return found


PluginFiles = Annotated[list[Path] | None, typer.Option(
    *flags.PLUGIN_FILE.names, help=flags.PLUGIN_FILE.help, metavar=flags.PLUGIN_FILE.metavar)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines on stdout, one object a line.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print results and errors alone.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Also print each step of the work.")]
Device = Annotated[str, _option(flags.DEVICE)]
Params = Annotated[str, _option(flags.PARAMS)]
Tokenizer = Annotated[str, _option(flags.TOKENIZER)]
Size = Annotated[str, _option(flags.SIZE)]
