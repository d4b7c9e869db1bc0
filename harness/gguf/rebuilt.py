"""A trained model out of the tensors of a GGUF file, scored on the held-out text of the corpus it was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..audit.auditor import audit
from ..bench.score import Score, score
from ..bench.weights import WEIGHTS, hold_to_size, model_tensors, read_tensors, restore_model
from ..build import build
from ..checkpoint import Checkpoint, RunConfig, learned_digest, parse_config, trained_spec
from ..data.batches import score_batches
from ..data.corpora import load_documents
from ..data.faithful import Faithful, encode_documents
from ..data.tokenizers import make_tokenizer, vocabulary
from ..data.windows import limit_documents
from ..errors import FileError, HarnessError, UsageError
from ..model import LanguageModel
from ..registry import Registry
from ..untrusted import Malformed, bounded, parse_json
from .file import GGUFFile

CONFIG, TOKENIZER = "harness.config", "harness.tokenizer"       # keys of the metadata
BATCH = 16
LENGTH, LONGEST = 256, 1 << 24           # tokens of a text that is scored at once


def exported(checkpoint: Checkpoint) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The weights of a checkpoint by name, and the metadata that rebuilds its model. Raises UsageError, FileError."""
    stored = read_tensors(checkpoint.weights)
    tensors = {name.removeprefix(WEIGHTS): stored[name] for name in stored if name.startswith(WEIGHTS)}
    for name, tensor in tensors.items():
        if tensor.is_complex() or tensor.ndim > 4:
            raise UsageError(f"{checkpoint.name} cannot be written as GGUF: {name} is {tensor.dtype} of "
                             f"{tensor.ndim} dimensions; GGUF has real numbers in four at most")
    metadata = {"general.name": f"{checkpoint.config.plugin} {checkpoint.config.run_id}",
                CONFIG: checkpoint.config.to_toml()}
    if checkpoint.learned is not None:
        metadata[TOKENIZER] = json.dumps(checkpoint.learned)
    return {name: _numpy(tensor) for name, tensor in tensors.items()}, metadata


def _numpy(tensor: Tensor) -> np.ndarray:
    return (tensor.float() if tensor.is_floating_point() else tensor.long()).numpy()


def exported_config(file: GGUFFile) -> RunConfig | None:
    """The config of the run that was exported to this file, None for a file of another origin. Raises FileError."""
    text = file.metadata.get(CONFIG)
    return parse_config(text.encode(), file.path) if isinstance(text, str) else None


class Rebuilt:
    """The model of `file` and the text that it is scored on: at most `max_bytes` held out from its own corpus.

    Raises HarnessError where the plugin, the corpus or a tensor is not to be had.
    """

    def __init__(self, registry: Registry, file: GGUFFile, config: RunConfig, max_bytes: int):
        self.file, name = file, str(file.path)
        spec = trained_spec(registry.models, config, name)
        selector = registry.corpus(str(config.train.get("corpus", "")))
        tokenizer = Faithful(make_tokenizer(registry.tokenizer(config.tokenizer)[0], self._learned(config)))
        documents = load_documents(*selector)
        if documents.sha256 != config.corpus_sha256:
            raise FileError(f"{name} was trained on another {selector[1]} than there is here")
        stored = {WEIGHTS + key: torch.empty(tensor.shape, device="meta") for key, tensor in file.tensors.items()}
        hold_to_size(spec, config.model, tokenizer.vocab_size, stored, file.path)
        built = build(spec, config.model, tokenizer.vocab_size, vocabulary=vocabulary(tokenizer))
        self.model: LanguageModel = built.model
        self.tensors = self._fitted({key: file.read(key) for key in file.tensors})
        length = config.train.get("seq_len", LENGTH)
        if not isinstance(length, int) or not 1 <= length <= LONGEST:
            raise FileError(f"{name} is corrupt: it was trained with seq_len {length!r}")
        self.length, self.token_bytes = length, tokenizer.token_bytes
        tokens = encode_documents(tokenizer, limit_documents(documents.heldout, max_bytes), "held-out")
        self.batches = list(score_batches(tokens, tokenizer.bos, self.length, 0, BATCH))

    def _learned(self, config: RunConfig) -> Any:
        if not config.vocabulary:
            return None
        text = self.file.metadata.get(TOKENIZER)
        try:
            learned = bounded(parse_json(text, Any)) if isinstance(text, str) else None
        except Malformed:
            learned = None
        if learned_digest(learned) != config.vocabulary:
            raise FileError(f"{self.file.path} lacks what its tokenizer has learned, or holds that of another run")
        return learned

    def _fitted(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """As tensors under the names of a checkpoint; GGUF has no shape without dimensions."""
        own = model_tensors(self.model)
        tensors = {WEIGHTS + name: torch.from_numpy(np.array(values)) for name, values in arrays.items()}
        return {name: t.reshape(()) if name in own and own[name].ndim == 0 and t.numel() == 1 else t
                for name, t in tensors.items()}

    def score(self, replaced: Mapping[str, np.ndarray]) -> Score:
        """Of the file's weights with some tensors `replaced`. Raises HarnessError where these weights fail the audit.
        """
        restore_model(self.model, self.tensors | self._fitted(replaced), self.file.path)
        report = audit(self.model, [self.length])
        if not report.passed:
            raise HarnessError(f"these weights fail the audit: {report.summary()}")
        return score(self.model, self.batches, token_bytes=self.token_bytes)
