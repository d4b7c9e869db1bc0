"""Tokenizers that make every score better than it is."""

import numpy as np

from harness import TokenizerSpec, hookimpl
from harness.data.tokenizers import Bytes


class Inflated(Bytes):
    """Counts two bytes a token."""

    name = "inflated"

    def __init__(self):
        super().__init__()
        self.token_bytes = 2 * self.token_bytes


class Lossy(Bytes):
    """Every text is "a"."""

    name = "lossy"

    def encode(self, text):
        return np.array([97], np.int32)


@hookimpl
def harness_tokenizers():
    kinds = [kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, Bytes)]
    return [TokenizerSpec(kind.name, f"{__name__}:{kind.__name__}", (kind.__doc__ or "").split("\n")[0])
            for kind in kinds if kind is not Bytes]
