"""How much a score varies with the seed, from all plugins that were scored alike. (no torch)

Three seeds of two plugins know their variance badly. All plugins of a size, text and budget know it well, where a test
does not tell their variances apart. A plugin of one seed has no variance of its own: it is taken to vary as the others,
or, where these vary unlike, as the one that varies most.
"""

from __future__ import annotations

from ...quantities import format_number
from ...reading import Run
from ...store import CellResult
from ...suite import ByDocument
from ..statistics import contrast, pooling
from ..statistics.pooling import Part
from .pairs import ReadingPair


def variance_of_seeds(pair: ReadingPair, how: ByDocument, a: Run, b: Run, ratio: bool) -> tuple[Part | None, str]:
    """That of the score of one seed, relative where a `ratio` is asked for, and where it is from; None where no more is
    known but what a side has of its own, or where both know theirs and the test does not allow to pool."""
    import numpy as np

    like = pair.a[0].result
    sizes = like.documents(how.key, how.size)[1]
    groups: dict[tuple[object, ...], dict[int, CellResult]] = {}
    for number, run in enumerate([a] if a is b else [a, b]):
        for other in run.alike(like):
            measured, own = other.documents(how.key, how.size)
            if measured and own == sizes:
                name = number, other.label, other.cell.get("code", ""), other.cell["protocol"].get("lr")
                groups.setdefault(name, {})[other.cell["seed"]] = other
    parts = []
    for seeds in groups.values():
        if len(seeds) > 1:
            values = np.array([found.series(how.key) for found in seeds.values()], float)
            scale = values.mean() if ratio else np.mean(sizes) if sizes else 1.0
            parts.append((contrast.seed_variance(values / scale), float(len(seeds) - 1)))
    found, together = pooling.common_variance(parts)
    plugins = format_number(len(parts), "plugin")
    if together and len(parts) > 1:
        return found, f"seed variance pooled over {plugins}"
    if min(len(pair.a), len(pair.b)) > 1:
        return None, "seeds of each apart: they vary unlike" if len(parts) > 1 else ""
    if len(parts) < 2:
        return None, ""
    return found, f"seed variance of the one of {plugins} that varies most"
