"""Whether the exponents that architectures are taken to share are theirs. (no torch, no SciPy)

The laws with and without shared exponents are fitted to the points, then to data that obey the shared ones: the fit
with the residuals of each run turned round or not, by chance (wild bootstrap by cluster: Cameron, Gelbach and Miller
2008). p is the share of these in which freedom lowers the objective as much. Few runs make that test weak: a p above
5 % says that sharing is not rejected, not that it is true.
"""

from __future__ import annotations

import math

from . import design, solver
from .shared import Laws, optimum

DRAWS = 999                                 # p of 5 % is then good to 0.7 %


def sharing_p_value(laws: Laws, draws: int = DRAWS, seed: int = 0) -> float:
    """Of the exponents, factors by corpus and A and B being shared as `laws` has it."""
    import numpy as np

    points = laws.points
    x, y = (np.log([float(value) for value in column])
            for column in ([point.params for point in points], [point.bytes for point in points]))
    names = [(point.plugin, point.corpus) for point in points]
    logs = np.log([point.bits for point in points])
    free = design.make(x, y, names, laws.form.plugins, laws.form.corpora, own=True)
    forms = [(form, form.terms(x, y, names)) for form in (laws.form, free)]
    optima = [laws.theta[0], optimum(*forms[1], logs)[0]]

    generator = np.random.default_rng(seed)
    runs = {run: place for place, run in enumerate(dict.fromkeys(point.run for point in points))}
    signs = generator.choice([-1.0, 1.0], size=(draws, len(runs)))[:, [runs[point.run] for point in points]]
    inflated = laws.residuals * math.sqrt(len(points) / max(1, len(points) - laws.theta.shape[1]))
    fitted = solver.predict(forms[0][1], optima[0][None])[0]
    drawn = np.concatenate([logs[None], fitted + signs * inflated])

    objectives = []
    for (form, terms), start in zip(forms, optima, strict=True):
        found = solver.minimise(terms, drawn, np.ones((1, len(points))), np.repeat(start[None], len(drawn), 0),
                                *design.bounds(form, logs), laws.delta)
        objectives.append(found.objective)
    gains = objectives[0] / objectives[1]
    return float((1 + (gains[1:] >= gains[0]).sum()) / (1 + draws))
