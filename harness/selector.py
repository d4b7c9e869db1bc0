"""How a plugin, a corpus or a tokenizer is named on the command line. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import UsageError


@dataclass(frozen=True)
class Selector:
    """`NAME[:ARGUMENT][:KEY=VALUE]…[@CHECKPOINT]` of the command line, e.g. `phasefield:episodic=false`,
    `file:notes.txt`, `ssm@runs/x`."""

    name: str
    argument: str = ""
    options: tuple[tuple[str, str], ...] = ()
    checkpoint: str = ""

    def __str__(self) -> str:
        text = ":".join([self.name, *filter(None, [self.argument]), *(f"{k}={v}" for k, v in self.options)])
        return f"{text}@{self.checkpoint}" if self.checkpoint else text


def parse_selector(text: str, *, argument: bool = False) -> Selector:
    """Parse a selector. With `argument`, parts without "=" after the name are an argument; without, a checkpoint may
    follow "@". Raises UsageError."""
    text = text.strip()
    plugin, at, checkpoint = (text, "", "") if argument else text.partition("@")
    name, *parts = plugin.split(":")
    if at and not checkpoint:
        raise UsageError(f"malformed selector {text!r}; write NAME@CHECKPOINT")
    if not name:
        raise UsageError(f"malformed selector {text!r}; write NAME or NAME:KEY=VALUE:KEY=VALUE")
    options: dict[str, str] = {}
    plain: list[str] = []
    for part in parts:
        key, equals, value = part.partition("=")
        if argument and not options and not (equals and key.isidentifier()):
            plain.append(part)
        elif not equals or not key.isidentifier() or not value:
            raise UsageError(f"malformed option {part!r} in {text!r}; write NAME:KEY=VALUE:KEY=VALUE")
        elif key in options:
            raise UsageError(f"option {key!r} is given twice in {text!r}")
        else:
            options[key] = value
    return Selector(name, ":".join(plain), tuple(sorted(options.items())), checkpoint)
