"""docs/commands.md, made from the commands themselves. `make readme` writes it; a test keeps it current."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from harness.cli import app

PAGE = Path("docs/commands.md")
INTRO = """\
# Commands

Every command of `harness`, its arguments and its options, as `harness COMMAND --help` tells them. `make readme` makes
this page from the commands. Numbers may be written with a unit: `300k`, `1.5M`, `16KiB`. What the exit codes mean
stands in [Reading a table](reading.md#exit-codes).
"""


def commands() -> dict[str, Any]:
    """Every command by its name, in alphabetical order."""
    return dict(sorted(typer.main.get_command(app).commands.items()))  # type: ignore[attr-defined]


def render() -> str:
    return INTRO + "".join(f"\n{part}\n" for name, command in commands().items() for part in described(name, command))


def described(name: str, command: Any) -> Iterator[str]:
    """The heading, the help and the tables of one command."""
    yield f"## harness {name}"
    yield "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    if arguments:
        yield table("argument", [(code(p.name), ("" if p.required else "Optional. ") + text(p))
                                 for p in arguments])
    if options:
        yield table("option", [(", ".join(map(code, p.opts)), text(p) + default(p)) for p in options])


def table(heading: str, rows: list[tuple[str, str]]) -> str:
    return "\n".join([f"| {heading} | meaning |", "|---|---|", *(f"| {first} | {second} |" for first, second in rows)])


def code(words: str) -> str:
    return f"`{words}`"


def text(parameter: Any) -> str:
    return (parameter.help or "").replace("|", "\\|")


def default(parameter: Any) -> str:
    """" Default: …", where there is one to tell."""
    value = parameter.default
    if parameter.required or value is None or value is False or value in ("", (), []) or "default:" in text(parameter):
        return ""
    if parameter.name in ("batch_size", "rounds", "jobs") and not value:
        return ""                                           # 0 stands for what the help says
    return f" Default: `{value}`."


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    (root / PAGE).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
