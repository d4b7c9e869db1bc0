"""What gave a score, as files: whoever has these bytes, PyTorch and the harness can score it again."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..checkpoint import BEST, RunConfig, learned_digest
from ..run.cells import Cell

QUICKEST = 1                            # level of zlib; weights are nearly noise and shrink little at any


def kept_files(
    cell: Cell, options: Mapping[str, str], vocab_size: int, corpus_sha256: str, learned: Any, weights: bytes,
) -> dict[str, bytes]:
    """The directory of a training run (checkpoint.py) with these weights, by file; the cell stands for the run.

    `options` rebuild the whole config of the model, `learned` is what the tokenizer has learned, None for nothing.
    """
    config = RunConfig(
        cell.id, cell.plugin, cell.tokenizer or "bytes", vocab_size, corpus_sha256, cell.code, dict(options),
        {"corpus": cell.corpus, "seq_len": cell.seq_len}, learned_digest(learned))
    return {**{name: text.encode() for name, text in config.files(learned).items()}, BEST: weights}


def artifact_bytes(weights: bytes, files: Iterable[Path]) -> int:
    """Bytes of the weights, compressed, and of the model's files: source, and data beside it."""
    return len(zlib.compress(weights, QUICKEST)) + sum(path.stat().st_size for path in set(files))
