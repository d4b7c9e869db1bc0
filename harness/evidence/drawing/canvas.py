"""A drawing: an SVG tree that a page colours by class, or that stands alone with a style sheet of its own. (no torch)

Colours are those of Okabe and Ito (2008), which people with any colour vision tell apart, then five of Tol (2021);
series differ by marker and dash as well. Plain shapes and literal colours only, so that what knows little of CSS still
draws them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from ...errors import UsageError
from ...writing import write_atomically
from .markup import Value, add, element, to_xml

FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
COLOURS = {                                 # class -> (on white, on black)
    "": ("#1f2328", "#e6e8eb"), ".muted": ("#59636e", "#9aa4af"), ".grid": ("#e4e7ea", "#2c333b"),
    ".s0": ("#0072b2", "#56b4e9"), ".s1": ("#d55e00", "#d55e00"), ".s2": ("#009e73", "#009e73"),
    ".s3": ("#cc79a7", "#cc79a7"), ".s4": ("#e69f00", "#e69f00"), ".s5": ("#56b4e9", "#0072b2"),
    ".s6": ("#000000", "#f0e442"), ".s7": ("#882255", "#d9789f"), ".s8": ("#999933", "#bdbd5a"),
    ".s9": ("#332288", "#9a8cf0"), ".s10": ("#117733", "#55bb77"), ".s11": ("#aa4499", "#e08fd3"),
    ".c0": ("#56b4e9", "#56b4e9"), ".c1": ("#e69f00", "#e69f00"), ".c2": ("#cc79a7", "#cc79a7"),
    ".c3": ("#f0e442", "#f0e442"),
}
PAPER = ("#ffffff", "#14181d")
SERIES_STYLES = 12
DASHES = ("", "9 3", "9 3 2 3", "5 2", "14 4", "14 4 2 4", "3 2")
MARKERS = (                                 # outlines around (0, 0)
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z", "M0 -4.8L4.4 3.4L-4.4 3.4Z", "M-3.6 -3.6H3.6V3.6H-3.6Z",
    "M0 -5L5 0L0 5L-5 0Z", "M0 4.8L4.4 -3.4L-4.4 -3.4Z",
    "M-1.5 -4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z",
    "M0 -5L1.3 -1.6L4.8 -1.5L2 0.7L3 4.1L0 2.1L-3 4.1L-2 0.7L-4.8 -1.5L-1.3 -1.6Z",
)
FAILED = "M-4 -4L4 4M-4 4L4 -4"
CHARACTER = 6.3                             # the mean width of one at 12 px


def text_width(text: str) -> float:
    """About how many pixels a text takes."""
    return CHARACTER * len(text)


def shorten(text: str, width: float) -> str:
    """A text that takes at most `width` pixels."""
    most = max(4, int(width / CHARACTER))
    return text if len(text) <= most else text[:most - 1] + "…"


def text(parent: Element, words: str, x: float, y: float, **attributes: Value) -> Element:
    """Words with their base line at (x, y), in the colour of their class."""
    given: dict[str, Value] = {"x": float(x), "y": float(y), "fill": "currentColor"}
    return add(parent, "text", words, **given | attributes)


def swatch(parent: Element, style: int, x: float, y: float) -> Element:
    """A dot in the colour of a plugin, beside its name."""
    return add(parent, "circle", cx=x, cy=y, r=4, fill="currentColor", class_=f"s{style % SERIES_STYLES}")


def link(parent: Element, href: str | None) -> Element:
    """A link in `parent` to draw in, or `parent` itself where there is nothing to link to."""
    return parent if href is None else add(parent, "a", href=href)


class Drawing:
    """An SVG tree. Notebooks show it; `save` writes it as a file of its own.

    `choice` are the series of a chart that has too many to show at once: (name, colour, marker, whether it is shown).
    """

    def __init__(self, root: Element, choice: Sequence[tuple[str, str, str, bool]] = ()):
        self.root, self.choice = root, choice

    def standalone(self) -> str:
        """The SVG with its style sheet, following the reader's colour scheme, and without links into a report."""
        root = copy.deepcopy(self.root)
        for link in list(root.iter("a")):
            link.tag, link.attrib = "g", {}
        root.insert(0, element("rect", width="100%", height="100%", class_="paper"))
        root.insert(0, element("style", stylesheet()))
        return to_xml(root)

    def save(self, path: Path | str) -> Path:
        """Write the SVG. Raises UsageError for a name of another format, FileError."""
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise UsageError(f"a plot is written as SVG, not {path.suffix or 'without a suffix'}; "
                             f"name it {path.stem or 'plot'}.svg")
        write_atomically(path, self.standalone() + "\n")
        return path

    def _repr_svg_(self) -> str:
        return self.standalone()

    def _repr_html_(self) -> str:
        return f"<div>{self.standalone()}</div>"


def canvas(width: float, height: float, label: str) -> Element:
    """The root of a drawing."""
    return element("svg", xmlns="http://www.w3.org/2000/svg", class_="harness-plot", width=width, height=height,
                   viewBox=f"0 0 {width:g} {height:g}", role="group", aria_label=label, font_size=12)


def rules(colour: Callable[[str, str], str]) -> str:
    """The style rules of drawings, with colours by `colour(on white, on black)`."""
    lines = [f"svg.harness-plot {name}{{color:{colour(*pair)}}}".replace(" {", "{") for name, pair in COLOURS.items()]
    return "\n".join([*lines, f"svg.harness-plot .paper{{fill:{colour(*PAPER)}}}"])


def stylesheet() -> str:
    """The rules of a drawing that stands alone."""
    dark = rules(lambda white, black: black)
    return (f"svg.harness-plot{{font-family:{FONT}}}\n{rules(lambda white, black: white)}\n"
            f"@media (prefers-color-scheme:dark){{\n{dark}\n}}")
