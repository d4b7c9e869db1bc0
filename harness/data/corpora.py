"""Documents to train on and documents held out, loaded by a selector; `pydoc` is the corpus that is always there.

Documents are kept apart, because intervals come from resampling them. (no torch)
"""

from __future__ import annotations

from typing import Any

from ..errors import FileError
from ..options import parse_arguments
from ..selector import Selector
from ..specs import CorpusSpec, require, resolve
from .documents import Documents, check_fold

DEFAULT = "pydoc"                       # what a tokenizer learns from where a cell names no corpus
PYDOC_FOLDS = 8


def corpus_options(spec: CorpusSpec, selector: Selector) -> dict[str, Any]:
    """The typed options of `selector`: those of the function that `spec` targets.

    Raises UsageError, also where the argument of the corpus is missing or is one too many.
    """
    spec.check(selector.argument)
    return parse_arguments(spec.target, dict(selector.options), f"corpus {spec.name}")


def load_documents(spec: CorpusSpec, selector: Selector) -> Documents:
    """Load what `selector` names.

    Raises UsageError for an option that is unknown or malformed, FileError where there is no text.
    """
    require(spec)
    options = corpus_options(spec, selector)
    documents: Documents = resolve(spec.target)(selector.argument, **options)
    for part, role in ((documents.train, "training"), (documents.heldout, "held-out")):
        if not any(part):
            raise FileError(f"corpus {selector} has no {role} text (0 bytes)")
    return documents


def pydoc(argument: str = "", *, fold: int | None = None) -> Documents:
    """`pydoc[:fold=K]`: the English reference text inside every CPython (`pydoc_data.topics`), about 450 kB; it varies
    with the version.

    Every eighth topic is held out, from topic K on: by default in the one of the eight ways that is nearest to a tenth
    of the bytes. CPython repeats whole sections under several topics, so paragraphs that also stand in held-out text
    are left out of training. Raises UsageError for a fold that there is not.
    """
    from pydoc_data.topics import topics

    texts = [topics[name].encode() for name in sorted(topics)]
    share = sum(map(len, texts)) / 10
    first = min(range(PYDOC_FOLDS), key=lambda i: abs(sum(map(len, texts[i::PYDOC_FOLDS])) - share))
    if fold is not None:
        check_fold(fold, PYDOC_FOLDS, "pydoc")
        first = fold
    heldout = texts[first::PYDOC_FOLDS]
    scored = {_words(paragraph) for text in heldout for paragraph in text.split(b"\n\n")}
    train = [
        b"\n\n".join(p for p in text.split(b"\n\n") if not p.strip() or _words(p) not in scored)
        for i, text in enumerate(texts) if i % PYDOC_FOLDS != first
    ]
    name = "pydoc" if fold is None else f"pydoc:fold={fold}"
    return Documents(name, tuple(filter(bytes.strip, train)), tuple(heldout))


def _words(paragraph: bytes) -> bytes:
    """A paragraph regardless of its indentation and line breaks."""
    return b" ".join(paragraph.split())
