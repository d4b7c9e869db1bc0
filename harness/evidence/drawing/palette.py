"""Colours, marks and fonts of plots, and the style rules that turn them for a dark page. (no torch)

Colours are those of Okabe and Ito (2008), which people with any colour vision tell apart, then five of Tol (2021);
series differ by shape and dash as well. A plot is drawn in the colours for white paper; for a dark page a style rule
replaces each of them, so that nothing is drawn anew when the reader's colour scheme changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
PAPER, INK, MUTED, GRID = ("#ffffff", "#14181d"), ("#1f2328", "#e6e8eb"), ("#59636e", "#9aa4af"), ("#e4e7ea", "#2c333b")
SERIES = (                                  # (on white, on black)
    ("#0072b2", "#56b4e9"), ("#d55e00", "#d55e00"), ("#009e73", "#009e73"), ("#cc79a7", "#cc79a7"),
    ("#e69f00", "#e69f00"), ("#56b4e9", "#0072b2"), ("#000000", "#f0e442"), ("#882255", "#d9789f"),
    ("#999933", "#bdbd5a"), ("#332288", "#9a8cf0"), ("#117733", "#55bb77"), ("#aa4499", "#e08fd3"))
PARTS = ("#56b4e8", "#e69f01", "#cc79a8", "#f0e442")        # of a bar: on black as light as on white
DASHES = ((), (9, 3), (9, 3, 2, 3), (5, 2), (14, 4), (14, 4, 2, 4), (3, 2))
SHAPES = ("circle", "triangle-up", "square", "diamond", "triangle-down", "cross", "triangle-right")


def colour_of(style: int) -> str:
    """The colour of the plugin of a number, on white."""
    return SERIES[style % len(SERIES)][0]


def dash_of(number: int) -> list[int]:
    return list(DASHES[number % len(DASHES)])


def shape_of(number: int) -> str:
    return SHAPES[number % len(SHAPES)]


CONFIG: dict[str, Any] = {                  # of Vega-Lite, for every plot
    "font": FONT, "background": PAPER[0], "view": {"stroke": None},
    "title": {"anchor": "start", "frame": "bounds", "color": INK[0], "fontSize": 13, "fontWeight": "bold", "offset": 8,
              "subtitleColor": MUTED[0], "subtitleFontSize": 11, "subtitlePadding": 4},
    "axis": {"labelColor": MUTED[0], "labelFontSize": 11, "titleColor": MUTED[0], "titleFontSize": 11,
             "titleFontWeight": "normal", "gridColor": GRID[0], "domainColor": GRID[0], "tickColor": GRID[0],
             "labelOverlap": "greedy", "labelSeparation": 4},
    "legend": {"orient": "bottom", "direction": "horizontal", "title": None, "labelColor": INK[0], "labelFontSize": 11,
               "symbolSize": 60, "symbolOpacity": 1, "columnPadding": 16, "rowPadding": 3, "labelLimit": 300},
    "text": {"color": INK[0], "fontSize": 11}, "rule": {"strokeWidth": 1.5},
}


def rules(within: str, colour: Callable[[str, str], str]) -> str:
    """Style rules for the plots inside of a selector, with colours by `colour(on white, on black)`."""
    pairs = dict([PAPER, INK, MUTED, GRID, *SERIES])
    return "\n".join(f'{within} [{part}="{white}"]{{{part}:{colour(white, black)}}}'
                     for white, black in pairs.items() for part in ("fill", "stroke"))
