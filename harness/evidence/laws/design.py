"""Which parameters several architectures on several corpora have in common, as the linear forms of a fit. (no torch)

`shared`: exponents are those of all, E, A and B those of a corpus, since loss has another scale on another text, and an
architecture has two factors: what a parameter of it and what a byte that it reads are worth beside the baseline's,

    L = E_corpus + A_corpus / (rho_N N)^alpha + B_corpus / (rho_D D)^beta.

With exponents of their own the laws of few rungs are ill-conditioned: an exponent, its factor and E make up for each
other. `own` is the check of that assumption: everything but E is of the architecture, A and B of the corpus too. E is
what the text itself costs, so no architecture has its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import solver
from .point import NoLaw

if TYPE_CHECKING:
    from numpy import ndarray

EXPONENTS = 0.01, 3.0                       # beyond which an exponent is taken to be unknown
NEGLIGIBLE = 12.0                           # e^-12 of the loss: a term that small is taken to be absent
SIZES = 3                                   # different sizes, and budgets, below which there is no law

Name = tuple[str, str]                      # of a plugin on a corpus


@dataclass(frozen=True)
class Design:
    """Columns: E and then A and B of each corpus, exponents, factors. `centre`: mean log N and log D of the points."""

    plugins: tuple[str, ...]                # the baseline first
    corpora: tuple[str, ...]
    own: bool
    centre: tuple[float, float]

    @property
    def columns(self) -> list[str]:
        names = [f"E {corpus}" for corpus in self.corpora]
        plugins = self.plugins if self.own else ("",)
        for constant, exponent in (("A", "alpha"), ("B", "beta")):
            names += [f"{constant} {corpus} {plugin}" for plugin in plugins for corpus in self.corpora]
            names += [f"{exponent} {plugin}" for plugin in plugins]
        if not self.own:
            names += [f"{factor} {plugin}" for plugin in self.plugins[1:] for factor in ("N", "D")]
        return names

    def rows(self, plugin: str, corpus: str) -> list[ndarray]:
        """What log E, log A, alpha, log B and beta of a plugin on a corpus are of the columns, at the centre."""
        import numpy as np

        names, owner = self.columns, plugin if self.own else ""
        parts = ((f"E {corpus}",), (f"A {corpus} {owner}", f"N {plugin}"), (f"alpha {owner}",),
                 (f"B {corpus} {owner}", f"D {plugin}"), (f"beta {owner}",))
        return [np.array([float(name in part) for name in names]) for part in parts]

    def terms(self, x: ndarray, y: ndarray, names: Sequence[Name]) -> ndarray:
        """The linear forms of points at log N, log D, each of a plugin on a corpus. (3, n, P)"""
        import numpy as np

        known = {name: self.rows(*name) for name in dict.fromkeys(names)}
        e, a, alpha, b, beta = (np.stack([known[name][part] for name in names]) for part in range(5))
        u, v = (x - self.centre[0])[:, None], (y - self.centre[1])[:, None]
        return np.stack([e, a - alpha * u, b - beta * v])


def make(x: ndarray, y: ndarray, names: Sequence[Name], plugins: Sequence[str], corpora: Sequence[str],
         own: bool = False) -> Design:
    """The design of points at log N, log D. Raises NoLaw where an architecture has too few sizes or budgets."""
    for plugin in plugins:
        mine = [i for i, name in enumerate(names) if name[0] == plugin]
        for what, values in (("sizes", x), ("budgets", y)):
            if (found := len({round(float(values[i]), 2) for i in mine})) < SIZES:
                raise NoLaw(f"a law needs {SIZES} {what}; {plugin or 'this'} has {found}")
    return Design(tuple(plugins), tuple(corpora), own, (float(x.mean()), float(y.mean())))


def bounds(form: Design, logs: ndarray) -> tuple[ndarray, ndarray]:
    """Of each column: exponents stay in EXPONENTS, terms are no larger than the loss and no smaller than negligible."""
    import numpy as np

    names, middle = form.columns, float(np.median(logs))
    lower, upper = np.full(len(names), middle - NEGLIGIBLE), np.full(len(names), middle + 3.0)
    for i, name in enumerate(names):
        if name.startswith(("alpha", "beta")):
            lower[i], upper[i] = EXPONENTS
        elif name.startswith(("N ", "D ")):
            lower[i], upper[i] = -NEGLIGIBLE, NEGLIGIBLE
    return lower, upper


def fit(form: Design, terms: ndarray, logs: ndarray, delta: float,
        tolerance: float = solver.TOLERANCE) -> solver.Optima:
    """From a grid of starts: exponents, and the share of E in the loss; the rest falls to A and B alike. logs (n,)"""
    import numpy as np

    names, middle = form.columns, float(np.median(logs))
    starts = []
    for alpha, beta, share in itertools.product((0.1, 0.3, 0.6, 1.2), (0.1, 0.3, 0.6, 1.2), (0.3, 0.6, 0.9)):
        values = {"E": middle + np.log(share), "A": middle + np.log((1 - share) / 2), "alpha": alpha, "beta": beta}
        values |= {"B": values["A"], "N": 0.0, "D": 0.0}
        starts.append([values[name.partition(" ")[0]] for name in names])
    lower, upper = bounds(form, logs)
    return solver.minimise(terms, logs[None], np.ones((1, len(logs))), np.array(starts), lower, upper, delta, tolerance)
