"""A model from its spec, at the size that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .errors import UsageError
from .model import LanguageModel, ParameterCount, count_parameters
from .options import make_config
from .sizing import match_parameters, match_state
from .specs import ModelSpec, resolve

SIZE_TO_BLAME = ("its default size works, one that is solved for does not: let width_step of the config give the "
                 "multiple that the width must be of, such as heads")


@dataclass(frozen=True)
class Built:
    """A model with the facts of its building. `note` says how a parameter target was missed, or ""."""

    model: LanguageModel
    config: Any
    count: ParameterCount
    note: str = ""


def build(
    spec: ModelSpec, options: Mapping[str, str], vocab_size: int, *,
    preset: str = "", params: int = 0, seed: int = 0, device: str = "cpu", vocabulary: Sequence[bytes] = (),
    state_bytes: int = 0, seq_len: int = 0,
) -> Built:
    """Build a model: a published `preset`, or the width that gives `params`, or a state of `state_bytes` after
    `seq_len` tokens of one text, or its default config.

    `vocabulary` (the bytes of every token) is shown to the model where it is known.
    """
    config, note = make_config(spec, options, preset), ""
    if state_bytes and not preset:
        config, note = match_state(spec, config, set(options), vocab_size, state_bytes, seq_len)
    elif params and not preset:
        match = match_parameters(spec, config, set(options), vocab_size, params)
        config, note = match.config, match.note
    torch.manual_seed(seed)
    model = resolve(spec.target)(config, vocab_size)
    if not isinstance(model, LanguageModel):
        raise UsageError(f"{spec.target} is a {type(model).__name__}, not a LanguageModel")
    if vocabulary:
        model.read_vocabulary(vocabulary)
    model = model.to(device)
    return Built(model, config, count_parameters(model), note)


def blame_size(
    spec: ModelSpec, options: Mapping[str, str], vocab_size: int, solved: Any, call: Callable[[LanguageModel], object],
) -> str:
    """SIZE_TO_BLAME where `call`, which broke on a model of the config `solved`, works on one that nobody solved a size
    for; else ""."""
    if make_config(spec, options) == solved:
        return ""
    try:
        call(build(spec, options, vocab_size).model)
    except Exception:                                       # it is broken whatever its size
        return ""
    return SIZE_TO_BLAME
