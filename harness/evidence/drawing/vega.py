"""The plotting library: Vega-Lite, which `vl-convert-python` brings whole, so that nothing is fetched. (no torch)

A plot is a specification, a nest of plain values that any edition of Vega-Lite draws. The library turns it into SVG
here, and is itself the script that draws it in a page. Only these two need it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from typing import Any, cast

from ...errors import PluginError

MISSING = "plots need vl-convert-python: pip install 'qllm-harness[plots]'"

NUMBERED = re.compile(r'((?:url\(#|id=")(?:clip|gradient_))(\d+)')


def available() -> bool:
    return find_spec("vl_convert") is not None


def _library() -> Any:
    """Raises PluginError where it is not installed."""
    if not available():
        raise PluginError(MISSING)
    import vl_convert

    return vl_convert


def svg(spec: dict[str, Any]) -> str:
    """A specification as SVG, the same whatever was drawn before. Raises PluginError."""
    drawn = cast(str, _library().vegalite_to_svg(spec, allowed_base_urls=[]))
    numbers: dict[str, int] = {}            # the library counts its clips and gradients on from plot to plot
    return NUMBERED.sub(lambda found: f"{found[1]}{numbers.setdefault(found[2], len(numbers))}", drawn)


@cache
def script() -> str:
    """Vega-Lite as one script of some 900 kB, which leaves `vegaEmbed` at `window`. Raises PluginError."""
    return f"(() => {{{_library().javascript_bundle()}\n}})();"
