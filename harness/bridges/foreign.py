"""Trained weights of elsewhere as a checkpoint, which suites and commands score as one of ours."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from ..bench.weights import model_tensors, save
from ..checkpoint import BEST, LARGEST_LEARNED, RunConfig, learned_digest
from ..data.faithful import Faithful
from ..data.tokenizers import make_tokenizer
from ..errors import FileError, HarnessError
from ..registry import Registry
from ..run.identity import model_digest
from ..run.training import new_directory
from ..specs import ForeignWeights, ModelSpec, resolve


def read_foreign(spec: ModelSpec, folder: Path) -> ForeignWeights:
    """What a plugin reads in a folder. Raises FileError where that is none of what it reads."""
    if not folder.is_dir():
        raise FileError(f"{folder} is no folder of weights")
    try:
        found: ForeignWeights = resolve(spec.weights)(folder)
    except HarnessError as wrong:
        raise FileError(str(wrong)) from None
    return found


def keep_foreign(registry: Registry, spec: ModelSpec, found: ForeignWeights, directory: Path) -> RunConfig:
    """Write the checkpoint. Raises FileError where weights and tokenizer do not belong together, AuditFailed where the
    tokenizer contradicts itself."""
    if len(json.dumps(found.learned, indent=0)) > LARGEST_LEARNED:
        raise FileError(f"its tokenizer takes more than {LARGEST_LEARNED >> 20} MiB, the most that a checkpoint keeps")
    tokenizer = Faithful(make_tokenizer(registry.tokenizer(found.tokenizer)[0], found.learned))
    if tokenizer.vocab_size != found.model.vocab_size:
        raise FileError(f"its model has {found.model.vocab_size} tokens, its tokenizer {tokenizer.vocab_size}")
    options = registry.configs.values(spec, found.options)
    config = RunConfig(
        "r" + uuid.uuid4().hex[:12], spec.name, found.tokenizer, tokenizer.vocab_size, "",
        model_digest(registry, spec, options), options, {"seq_len": found.seq_len}, learned_digest(found.learned))
    new_directory(directory)
    save(directory / BEST, model_tensors(found.model), {"run_id": config.run_id, "bytes_seen": 0})
    config.write(directory, found.learned)
    return config
