"""What decides a cell's number besides its own fields, as digests that take part in its identity. (no torch)

The suite's source, the model's, the corpus's and the tokenizer's, each with what it imports; text and weights by
content; the versions of the packages that a plugin declares. The engine's measuring code is the protocol number.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..checkpoint import CONFIG, open_checkpoint
from ..configs import HERE, Configs
from ..data.corpora import corpus_options, load_documents
from ..errors import FileError, HarnessError
from ..registry import Registry
from ..selector import Selector
from ..specs import CorpusSpec, ModelSpec, TokenizerSpec
from ..suite import Suite
from .digest import HASH_LENGTH, files_digest, source_digest, source_files


def model_digest(registry: Registry, spec: ModelSpec, options: Mapping[str, str]) -> str:
    """Of a model's source, its config's, and its kernel and circuit cases', with that of the components by other
    plugins that its options name."""
    own = source_digest(*_targets(spec), packages=spec.requires)
    foreign = sorted(source_digest(component.target) for component in registry.foreign(spec.name, options))
    return "+".join([own, *foreign])


def model_files(registry: Registry, spec: ModelSpec, options: Mapping[str, str]) -> set[Path]:
    """The source files that `model_digest` covers."""
    return {*source_files(*_targets(spec), *(component.target for component in registry.foreign(spec.name, options)))}


def _targets(spec: ModelSpec) -> tuple[str, ...]:
    return spec.target, spec.config, spec.kernels, spec.circuits


def suite_digest(suite: Suite) -> str:
    """Of the source that plans and measures. What a suite concludes is worked out anew from every cell."""
    return source_digest(*suite_modules(suite))


def suite_modules(suite: Suite) -> tuple[str, ...]:
    """Those that measure and plan."""
    return tuple(dict.fromkeys(_module_of(function) for function in (suite.measure, suite.plan)))


def _module_of(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    return getattr(function, "__module__", None) or type(function).__module__


def tokenizer_digest(spec: TokenizerSpec, configs: Configs = HERE) -> str:
    """Of a tokenizer's source, and of the ids and bytes of one that a plugin brings: it may read them from a file."""
    source = source_digest(spec.target, spec.learn, packages=spec.requires)
    if spec.learn or spec.fixed:
        return source
    try:
        table = configs.table(spec)
    except Exception:                                       # the cell that uses it tells why
        return source
    return f"{source}+{hashlib.sha256(table.encode()).hexdigest()[:HASH_LENGTH]}"


def text_digest(spec: CorpusSpec, selector: Selector) -> str:
    """Check a corpus's options; a digest of its source and its text. Raises UsageError, FileError.

    Of a PATH it is the bytes of the files, of a text that its source does not fix the documents, which are loaded.
    """
    options = corpus_options(spec, selector)
    source = source_digest(spec.target, packages=spec.requires)
    if spec.argument == "PATH":
        return f"{source}+{_path_digest(selector, options)}"
    if spec.fixed:
        return source
    try:
        return f"{source}+{load_documents(spec, selector).sha256[:HASH_LENGTH]}"
    except HarnessError:
        raise
    except Exception:                                       # the cell that uses it tells why
        return source


def _path_digest(selector: Selector, options: Mapping[str, Any]) -> str:
    found: list[Path] = []
    try:
        paths = [Path(text).expanduser() for text in (selector.argument, options.get("heldout")) if text]
        for path in paths:
            files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
            if not any(file.stat().st_size for file in files):
                raise FileError(f"{path} holds no text")
            found += files
        return files_digest(found, paths[0].parent)
    except OSError as error:
        raise FileError(f"cannot read {error.filename or selector.argument}: {error.strerror}") from None
    except RuntimeError as error:                           # ~nobody
        raise FileError(f"cannot read {selector.argument}: {error}") from None


def weights_digest(checkpoint: str) -> str:
    """Of trained weights and their config, "" without any. Raises FileError where they cannot be used."""
    if not checkpoint:
        return ""
    weights = open_checkpoint(checkpoint).weights
    return files_digest([weights, weights.with_name(CONFIG)], weights.parent)
