"""A model from its spec, at the size that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .errors import AuditFailed, UsageError
from .meta import constant_parameters
from .model import LanguageModel, ParameterCount, count_parameters
from .options import make_config
from .sizing import match_parameters, match_state
from .specs import ModelSpec, resolve

SIZE_TO_BLAME = ("its default size works, one that is solved for does not: let width_step of the config give the "
                 "multiple that the width must be of, such as heads")


@dataclass(frozen=True)
class Built:
    """A model with the facts of its building. `note` says how a parameter target was missed and what the model has to
    tell, or ""; `counted` are the parameters that its size was solved with, None where nothing was solved."""

    model: LanguageModel
    config: Any
    count: ParameterCount
    note: str = ""
    counted: int | None = None


def build(
    spec: ModelSpec, options: Mapping[str, str], vocab_size: int, *,
    preset: str = "", params: int = 0, seed: int = 0, device: str = "cpu", vocabulary: Sequence[bytes] = (),
    state_bytes: int = 0, seq_len: int = 0, solved: Any = None,
) -> Built:
    """Build a model: a published `preset`, or the width that gives `params`, or a state of `state_bytes` after
    `seq_len` tokens of one text, or its default config. `solved` is a config for which all of that was done before.

    `vocabulary` (the bytes of every token) is shown to the model where it is known.
    """
    config, note, counted = solved or make_config(spec, options, preset), "", None
    fixed = bool(solved or preset)
    if state_bytes and not fixed:
        config, note = match_state(spec, config, set(options), vocab_size, state_bytes, seq_len)
    elif params and not fixed:
        match = match_parameters(spec, config, set(options), vocab_size, params)
        config, note = match.config, match.note
        counted = match.count.total
    torch.manual_seed(seed)
    model = resolve(spec.target)(config, vocab_size)
    if not isinstance(model, LanguageModel):
        raise UsageError(f"{spec.target} is a {type(model).__name__}, not a LanguageModel")
    if vocabulary:
        model.read_vocabulary(vocabulary)
    model = model.to(device)
    note = "; ".join(filter(None, [note, model.note()]))
    return Built(model, config, count_parameters(model), note, counted)


def hold_to_count(spec: ModelSpec, built: Built) -> None:
    """Raise AuditFailed where a model that was solved for has other parameters than were counted then, or leaves some
    out that do not grow with the vocabulary."""
    model = built.model
    if built.counted is None:
        return
    if built.count.total != built.counted:
        raise AuditFailed(f"{spec.name} has {built.count.total:,} parameters where it is built and {built.counted:,} "
                          "on the meta device, where its size is solved for")
    if type(model).embedding_parameters is LanguageModel.embedding_parameters:
        return
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    kind = resolve(spec.target)
    constant = constant_parameters(model, lambda size: kind(model.config, size), model.vocab_size) or set()
    for parameter in model.embedding_parameters():
        if (name := names.get(id(parameter), "a tensor")) in constant or name not in names.values():
            raise AuditFailed(f"embedding_parameters() of {spec.name} yields {name}, which does not grow with the "
                              "vocabulary")


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
