"""A drawing: a Vega-Lite specification that a page or a notebook draws, and that SVG is made from. (no torch)"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

from ...errors import UsageError
from ...writing import write_atomically
from . import vega
from .markup import clean
from .palette import CONFIG, rules

WIDTH = 520                                 # pixels, where no page gives it another
EDITIONS = (6, 5)                           # of Vega-Lite, the newest first
SCHEMA = "https://vega.github.io/schema/vega-lite/v{}.json"                     # a name, nothing is read from there


@dataclass(frozen=True)
class Choice:
    """A series of a plot that has too many to show at once; `style` is the number of its colour."""

    name: str
    style: int
    shown: bool


class Drawing:
    """A plot. Notebooks show it with its hovering and zooming; `save` writes it as SVG.

    `body` is the specification without width and configuration; `spec` has both, for Vega-Lite elsewhere:
    `altair.Chart.from_dict(drawing.spec)`. `choice` are the series of a plot that has too many to show at once.
    """

    def __init__(self, body: Mapping[str, Any], width: float = WIDTH, choice: Sequence[Choice] = ()):
        self.body: dict[str, Any] = _plain(body)
        self.width, self.choice = width, choice

    @property
    def title(self) -> str:
        return str(self.body["description"])

    @property
    def spec(self) -> dict[str, Any]:
        legend = dict(CONFIG["legend"])
        if entry := self.body.get("usermeta", {}).get("legendEntry"):       # its width in pixels, about
            legend["columns"] = max(1, int(0.85 * self.width // entry))
        return {"$schema": SCHEMA.format(EDITIONS[0]), "config": {**CONFIG, "legend": legend}, "width": self.width,
                **self.body}

    @property
    def digest(self) -> str:
        """Of what is drawn, whichever edition of the library draws it."""
        return hashlib.sha256(json.dumps(self.spec, sort_keys=True).encode()).hexdigest()[:16]

    def standalone(self) -> str:
        """The SVG, following the reader's colour scheme. Raises PluginError without the plotting library."""
        drawn = vega.svg(self.spec)
        fromstring(drawn)                                   # whatever names hold, it is well-formed
        start = drawn.index(">", drawn.index("<svg")) + 1
        style = f"@media (prefers-color-scheme:dark){{\n{rules('svg', lambda white, black: black)}\n}}"
        return f"{drawn[:start]}<!-- {self.digest} --><style>{style}</style>{drawn[start:]}"

    def save(self, path: Path | str) -> Path:
        """Write the SVG. Raises UsageError for a name of another format, FileError, PluginError."""
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise UsageError(f"a plot is written as SVG, not {path.suffix or 'without a suffix'}; "
                             f"name it {path.stem or 'plot'}.svg")
        write_atomically(path, self.standalone() + "\n")
        return path

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """What a notebook chooses from: the specification, else the SVG, else words."""
        bundle: dict[str, Any] = {f"application/vnd.vegalite.v{edition}+json": self.spec | {
            "$schema": SCHEMA.format(edition)} for edition in EDITIONS}
        if vega.available():
            return bundle | {"image/svg+xml": self.standalone(), "text/plain": self.title}
        return bundle | {"text/plain": f"{self.title}: {vega.MISSING}"}


def _plain(value: Any) -> Any:
    """A nest of values without what a text of XML cannot hold."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(name)): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
