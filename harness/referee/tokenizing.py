"""What runs in the room of a plugin's tokenizer: it is given the texts of the cell, and may read what lies with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.tokenizers import Tokenizer, learn, make_tokenizer, vocabulary
from ..registry import load
from . import wall
from .sources import importable


class Tokenizing:
    """One tokenizer."""

    def __init__(self, selector: str, files: Sequence[str], hidden: Sequence[str], folder: str):
        paths = [Path(file) for file in files]
        beside = [path if path.is_dir() else path.parent for path in paths]
        self.notes = wall.build_wall([*importable(paths), *beside], [Path(path) for path in hidden], Path(folder))
        self.spec, self.selector = load(paths).tokenizer(selector)
        self.own: Tokenizer | None = None

    def make(self, documents: Sequence[bytes] | None, learned: Any) -> dict[str, Any]:
        """Make the tokenizer of what it `learned`, or learns from `documents` now. Its table."""
        learned = learn(self.spec, self.selector, documents) if documents is not None else learned
        self.own = own = make_tokenizer(self.spec, learned)
        return {"name": own.name, "vocab_size": int(own.vocab_size), "bos": int(own.bos), "pieces": vocabulary(own),
                "token_bytes": torch.from_numpy(np.array(own.token_bytes)), "learned": learned}

    def encode(self, text: bytes) -> torch.Tensor:
        assert self.own
        return torch.from_numpy(np.array(self.own.encode(text)))
