"""What theory forbids: tasks that a kind of model cannot solve at every length, whatever its weights.

A linear recurrence whose eigenvalues are all positive recognises star-free languages alone, so no parity and no word
of a group (Grazzi et al. 2025; Sarrof, Veitsman and Hahn 2024). A transformer, or a recurrence of diagonal matrices, of
fixed depth lies in TC0 (Merrill, Petty and Sabharwal 2024); words of A5 and S5 are complete for NC1, so it cannot
follow them unless the two classes are one. Both speak of every length: what stands here is that a task is not *solved*
beyond the trained length, and a number above that is a leak, an error, or a length that is still short.
"""

from __future__ import annotations

POSITIVE = ("ssm", "mingru", "mambapy")             # a decay of a channel and a token between 0 and 1
TC0 = ("baseline", "transformers", "x-transformers", *POSITIVE)
COUNTING = ("parity", "modular-arithmetic", "z60", "a4xz5", "a5", "s5")
COMPLETE = ("a5", "s5")                             # for NC1


def forbidden(plugin: str, task: str) -> str:
    """Why a plugin cannot solve a task at every length; "" where nothing is known to forbid it."""
    if plugin in POSITIVE and task in COUNTING:
        return "a linear recurrence with positive eigenvalues does not solve it at every length"
    if plugin in TC0 and task in COMPLETE:
        return "TC0 does not solve it at every length, unless it is NC1"
    return ""
