"""The corpus `hf:NAME`: text streamed from the Hugging Face hub, each data set pinned to one commit. (no torch)

What was streamed is kept under the user's cache folder, so the cells of a run, and later runs, read the same bytes
without the network.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import FileError, UsageError, unknown
from ..untrusted import LARGEST, parse_json, read_bounded
from .documents import Documents
from .files import hold_out, split_text


@dataclass(frozen=True)
class HubText:
    """A data set with a `text` column. `heldout` is the split to score; without one every tenth document is held out.

    `lines` marks sets whose rows are lines of one text, to be joined and cut into articles.
    """

    repository: str
    subset: str | None
    revision: str
    train: str = "train"
    heldout: str = ""
    lines: bool = False


# The commits were the head of each data set when it was pinned, and are the ones that other public code pins.
HUB = {
    "wikitext2": HubText("Salesforce/wikitext", "wikitext-2-raw-v1", "b08601e04326c79dfdd32d625aee71d232d685c3",
                         heldout="test", lines=True),
    "tinystories": HubText("roneneldan/TinyStories", None, "f54c09fd23315a6f9c86f9dc80f725de7d8f9c64",
                           heldout="validation"),
    "c4": HubText("allenai/c4", "en", "1588ec454efa1a09f29cd18ddd04fe05fc8653a2", heldout="validation"),
    "fineweb": HubText("HuggingFaceFW/fineweb", "sample-10BT", "9bb295ddab0e05d785b879661af7260fed5140fc"),
}


def hf(argument: str, *, size: int = 10_000_000, revision: str = "") -> Documents:
    """`hf:NAME[:size=BYTES][:revision=COMMIT]`: about `size` bytes to train on and a tenth of that to score.

    Raises UsageError for an unknown name or size, FileError where the text is neither cached nor to be had.
    """
    if argument not in HUB:
        raise unknown("hf corpus", argument, HUB)
    if size < 1:
        raise UsageError(f"size of corpus hf:{argument} must be at least 1 byte; it is {size}")
    text = HUB[argument]
    revision = revision or text.revision
    if text.heldout:
        train = _documents(argument, text, text.train, revision, size)
        scored = _documents(argument, text, text.heldout, revision, size // 10)
    else:
        streamed = _documents(argument, text, text.train, revision, size + size // 10)
        train, scored = hold_out(streamed, f"hf:{argument}")
    return Documents(argument, tuple(train), tuple(scored))


def _documents(name: str, text: HubText, split: str, revision: str, size: int) -> list[bytes]:
    """Whole documents of `split`, from the cache or streamed, until `size` bytes are reached."""
    key = hashlib.sha256(json.dumps([text.repository, text.subset, revision, split, size]).encode()).hexdigest()[:16]
    cached = _cache() / f"{name}-{split}-{key}.jsonl"
    if not cached.exists():
        rows = _stream(name, text, split, revision, size)
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            partial = cached.with_suffix(f".{os.getpid()}")
            partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            partial.replace(cached)
        except OSError as error:
            raise FileError(f"cannot keep hf:{name} in {cached.parent}: {error.strerror}; "
                            "name another folder with XDG_CACHE_HOME") from None
    try:
        texts = [parse_json(line, str).encode() for line in read_bounded(cached, 12 * size + LARGEST).splitlines()]
    except ValueError as wrong:
        raise FileError(f"{cached} is corrupt: {wrong}; delete it, and it is streamed again") from None
    return split_text(b"".join(texts)) if text.lines else texts


def _stream(name: str, text: HubText, split: str, revision: str, size: int) -> list[str]:
    """Rows of text from the hub, at least `size` bytes of them where there are as many."""
    try:
        rows = list(_take(_rows(text, split, revision), size))
    except Exception as error:  # the libraries below raise unrelated kinds for "no network" and "no such commit"
        raise FileError(
            f"hf:{name} is not in {_cache()} and cannot be streamed ({type(error).__name__}); run once with a network, "
            "or use --corpus pydoc or --corpus file:PATH") from error
    if not rows:
        raise FileError(f"hf:{name} has no text in its split {split!r} at revision {revision}")
    return rows


def _rows(text: HubText, split: str, revision: str) -> Iterator[str]:
    import datasets
    from huggingface_hub import HfApi

    HfApi().dataset_info(text.repository, revision=revision, timeout=10)     # fails at once where streaming would retry
    for row in datasets.load_dataset(
            text.repository, text.subset, split=split, revision=revision, streaming=True):
        yield row["text"]


def _take(rows: Iterator[str], size: int) -> Iterator[str]:
    """Rows that are not empty, until their bytes reach `size`."""
    taken = 0
    for row in rows:
        if taken >= size:
            return
        if row:
            taken += len(row.encode())
            yield row


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qllm-harness"
