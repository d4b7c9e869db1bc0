"""Brings a tokenizer too, which is honest but for what it changes in the process that makes it."""

import torch
import torch.nn.functional as F
from base import Tiny

from harness import TokenizerSpec, hookimpl
from harness.data.tokenizers import Bytes


class WithItsTokenizer(Tiny):
    """Honest; its tokenizer is not."""


class Patching(Bytes):
    name = "patching"

    def __init__(self):
        super().__init__()
        own = F.cross_entropy
        F.cross_entropy = lambda *args, **kwargs: own(*args, **kwargs) / (1 if torch.is_grad_enabled() else 3)


@hookimpl
def harness_tokenizers():
    return [TokenizerSpec("patching", f"{__name__}:Patching", "bytes", vocab_size=257, fixed=True)]
