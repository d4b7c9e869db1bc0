"""Weights of a folder of transformers, as a checkpoint keeps them: safetensors alone; nothing is downloaded or run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from harness import ForeignWeights, UsageError

from .config import PeerConfig
from .model import Peer

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5")
LONGEST = 1024                              # tokens of a window, where a model takes more


def read(folder: Path) -> ForeignWeights:
    """What rebuilds the model of a folder with its weights and its tokenizer. Raises UsageError naming what is missing,
    or what no harness would read."""
    settings, tokenizer = (_json(folder, name) for name in ("config.json", "tokenizer.json"))
    if not any(folder.glob("*.safetensors")):
        pickled = next((path.name for path in sorted(folder.iterdir()) if path.suffix in PICKLED), "")
        raise UsageError(f"{folder} holds no weights as safetensors" + f", only {pickled}: pickled weights can run "
                         "anything and are not read; save them anew with save_pretrained" * bool(pickled))
    if "auto_map" in settings:
        raise UsageError(f"{folder} brings code of its own, which is not run; one of transformers is needed")
    options = {"arch": str(settings.get("model_type", "")), "settings": json.dumps(settings)}
    size = int(settings.get("vocab_size") or 0)
    bos = _first(settings.get("bos_token_id"), settings.get("eos_token_id"))
    if bos is None:
        raise UsageError(f"{folder}/config.json names no bos_token_id and no eos_token_id to begin a text with")
    model = Peer(PeerConfig(arch=options["arch"], settings=options["settings"]), size)
    _load(model, folder)
    longest = getattr(model.inner.config, "max_position_embeddings", None) or LONGEST
    return ForeignWeights(options, model, "bpe", {"tokenizer": tokenizer, "bos": bos, "vocab_size": size},
                          min(int(longest), LONGEST))


def _load(model: Peer, folder: Path) -> None:
    """Raises UsageError where weights are missing: they would be random."""
    from transformers import AutoModelForCausalLM

    found, told = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, trust_remote_code=False,
        output_loading_info=True)
    missing = sorted({*told["missing_keys"], *(str(name) for name, *_ in told["mismatched_keys"])})
    if missing:
        raise UsageError(f"{folder} lacks weights of its model: {missing[0]}, {len(missing)} in all")
    model.inner.load_state_dict(found.state_dict())


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError:
        raise UsageError(f"{folder} has no {name}; a folder of save_pretrained has one") from None
    except ValueError as wrong:
        raise UsageError(f"{folder / name} is corrupt: {wrong}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{folder / name} is corrupt: no object")
    return found


def _first(*ids: Any) -> int | None:
    """Some configs list several ends."""
    flat = (one[0] if isinstance(one, list) and one else one for one in ids)
    return next((one for one in flat if isinstance(one, int)), None)
