"""Tensors of a checkpoint: weights, optimiser and random state in one safetensors file, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.nn.modules import module

from ..build import Built, build
from ..checkpoint import Checkpoint
from ..data.tokenizers import Tokenizer, vocabulary
from ..errors import FileError, Unsupported, one_line
from ..model import LanguageModel
from ..options import make_config
from ..sizing import count_on_meta
from ..specs import ModelSpec
from ..writing import replacing
from .sharding import as_shared

WEIGHTS, OPTIMIZER, RANDOM = "model.", "optimizer.", "random."
SLACK = 1 << 10                         # tensors and numbers that a model may have beside those that are stored
MOST_BUFFERED = 1 << 28                 # numbers of a table that a model makes for itself


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, object]) -> None:
    """Write a safetensors file, whole or not at all. Raises FileError."""
    try:
        with replacing(path) as temporary:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary,
                      metadata={key: str(value) for key, value in metadata.items()})
            temporary.chmod(0o644)                          # safetensors makes it readable for its owner alone
    except SafetensorError as error:
        raise FileError(f"cannot write {path}: {error}") from None


def packed(tensors: Mapping[str, Tensor], metadata: Mapping[str, object]) -> bytes:
    """The content of such a file. Raises Unsupported for tensors that it has no form for."""
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}    # none share storage
    try:
        return to_bytes(own, metadata={key: str(value) for key, value in metadata.items()})
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise Unsupported(f"weights that a file of safetensors cannot hold: {one_line(error)}") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file. Raises FileError where it is corrupt."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise FileError(f"{path} is corrupt: {' '.join(str(error).split())}") from None


def read_metadata(path: Path) -> dict[str, str]:
    """What a file says of itself. Raises FileError where it is corrupt."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise FileError(f"{path} is corrupt: {' '.join(str(error).split())}") from None


def model_tensors(model: LanguageModel) -> dict[str, Tensor]:
    """Parameters and buffers under their names, a tied one once."""
    distinct = {id(tensor): (name, tensor) for name, tensor in reversed(model.state_dict(keep_vars=True).items())}
    return {WEIGHTS + name: tensor for name, tensor in reversed(distinct.values())}


@torch.no_grad()
def restore_model(model: LanguageModel, tensors: Mapping[str, Tensor], source: Path | str) -> None:
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
        tensor.copy_(as_shared(tensors[name], tensor))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's own tensors by parameter number; rates and the like come from the recipe."""
    state = optimizer.state_dict()["state"]
    return {f"{OPTIMIZER}{index}.{key}": value for index, own in state.items() for key, value in own.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError for a state that is not of these parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(OPTIMIZER):
            index, _, key = name.removeprefix(OPTIMIZER).partition(".")
            if not 0 <= int(index) < len(parameters) or tensor.shape not in (parameters[int(index)].shape, ()):
                raise ValueError(f"{name} is of no parameter of this model")
            state.setdefault(int(index), {})[key] = as_shared(tensor, parameters[int(index)])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def build_trained(spec: ModelSpec, checkpoint: Checkpoint, tokenizer: Tokenizer, device: str = "cpu") -> Built:
    """The model of a checkpoint with its weights. Raises FileError where they do not fit its config."""
    hold_to_vocabulary(checkpoint, tokenizer)
    return build_stored(spec, checkpoint.config.model, vocabulary(tokenizer), read_tensors(checkpoint.weights),
                        str(checkpoint.weights), device)


def hold_to_vocabulary(checkpoint: Checkpoint, tokenizer: Tokenizer) -> None:
    """Raise FileError where the weights are of another vocabulary than the tokenizer's."""
    config = checkpoint.config
    if config.vocab_size != tokenizer.vocab_size:
        raise FileError(f"{checkpoint.name} was trained with {config.vocab_size} tokens ({config.tokenizer}), "
                        f"the tokenizer here has {tokenizer.vocab_size}")


def build_stored(
    spec: ModelSpec, options: Mapping[str, str], vocabulary: Sequence[bytes], tensors: Mapping[str, Tensor],
    source: str, device: str = "cpu",
) -> Built:
    """The model of a config with the weights of `source`. Raises FileError where they do not fit."""
    hold_to_size(spec, options, len(vocabulary), tensors, source)
    built = build(spec, options, len(vocabulary), device=device, vocabulary=vocabulary)
    restore_model(built.model, tensors, source)
    return built


def hold_to_size(
    spec: ModelSpec, options: Mapping[str, str], vocab_size: int, tensors: Mapping[str, Tensor], source: Path | str,
) -> None:
    """Raise FileError where the config makes more weights than are stored, before memory or hours are spent on them.

    The model is built on the meta device, which takes no memory, and given up at the first weight too many. Four times
    as many are let through: a tied weight is made, made again and then shared.
    """
    stored = [tensor for name, tensor in tensors.items() if name.startswith(WEIGHTS)]
    numbers, weights = 4 * sum(tensor.numel() for tensor in stored) + SLACK, 4 * len(stored) + SLACK
    seen = {"numbers": 0, "weights": 0}

    def count(owner: nn.Module, name: str, tensor: Tensor | None) -> None:
        if tensor is None:
            return
        seen["weights"] += 1
        seen["numbers"] += tensor.numel() if isinstance(tensor, nn.Parameter) else 0
        if seen["numbers"] > numbers or seen["weights"] > weights or tensor.numel() > MOST_BUFFERED:
            raise FileError(f"{source} does not fit the model that its config names: it holds "
                            f"{len(stored)} tensors, the model has more, or larger ones")

    hooks = [module.register_module_parameter_registration_hook(count),
             module.register_module_buffer_registration_hook(count)]
    try:
        count_on_meta(spec, make_config(spec, options), vocab_size)
    except FileError:
        raise
    except Exception:                                       # `build` tells what is wrong with it
        pass
    finally:
        for hook in hooks:
            hook.remove()
