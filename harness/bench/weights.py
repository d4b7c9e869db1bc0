"""Tensors of a checkpoint: weights, optimiser and random state in one safetensors file, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..build import Built, build
from ..checkpoint import Checkpoint
from ..data.tokenizers import Tokenizer, vocabulary
from ..errors import FileError
from ..model import LanguageModel
from ..specs import ModelSpec
from ..store import replacing

WEIGHTS, OPTIMIZER = "model.", "optimizer."


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, object]) -> None:
    """Write a safetensors file, whole or not at all. Raises FileError."""
    try:
        with replacing(path) as temporary:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary,
                      metadata={key: str(value) for key, value in metadata.items()})
            temporary.chmod(0o644)                          # safetensors makes it readable for its owner alone
    except SafetensorError as error:
        raise FileError(f"cannot write {path}: {error}") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file. Raises FileError where it is corrupt."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise FileError(f"{path} is corrupt: {' '.join(str(error).split())}") from None


def model_tensors(model: LanguageModel) -> dict[str, Tensor]:
    """Parameters and buffers under their names, a tied one once."""
    distinct = {id(tensor): (name, tensor) for name, tensor in reversed(model.state_dict(keep_vars=True).items())}
    return {WEIGHTS + name: tensor for name, tensor in reversed(distinct.values())}


@torch.no_grad()
def restore_model(model: LanguageModel, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy the weights into `model`. Raises FileError where names or shapes are others."""
    own = model_tensors(model)
    stored = {name for name in tensors if name.startswith(WEIGHTS)}
    strange = sorted(stored ^ own.keys()) or [name for name in own if own[name].shape != tensors[name].shape]
    if strange:
        name = strange[0]
        reason = "has another shape" if name in stored & own.keys() else (
            "is not in the model" if name in stored else "is missing")
        raise FileError(f"{source} does not fit the model that its config names: {name.removeprefix(WEIGHTS)} {reason}")
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's own tensors by parameter number; rates and the like come from the recipe."""
    state = optimizer.state_dict()["state"]
    return {f"{OPTIMIZER}{index}.{key}": value for index, own in state.items() for key, value in own.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(OPTIMIZER):
            index, _, key = name.removeprefix(OPTIMIZER).partition(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def build_trained(spec: ModelSpec, checkpoint: Checkpoint, tokenizer: Tokenizer, device: str = "cpu") -> Built:
    """The model of a checkpoint with its weights. Raises FileError where they do not fit its config."""
    config = checkpoint.config
    if config.vocab_size != tokenizer.vocab_size:
        raise FileError(f"{checkpoint.name} was trained with {config.vocab_size} tokens ({config.tokenizer}), "
                        f"the tokenizer here has {tokenizer.vocab_size}")
    built = build(
        spec, config.model, tokenizer.vocab_size, device=device, vocabulary=vocabulary(tokenizer))
    restore_model(built.model, read_tensors(checkpoint.weights), checkpoint.weights)
    return built
