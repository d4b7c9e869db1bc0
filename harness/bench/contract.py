"""One short call before a model is trained or timed, so that a wrong shape is told as such."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from ..audit.probe import ContractBroken, Probe
from ..build import blame_size
from ..data.batches import uniform_tokens
from ..errors import HarnessError
from ..model import LanguageModel
from ..specs import ModelSpec


def hold_to_contract(
    model: LanguageModel, spec: ModelSpec, options: Mapping[str, str], device: str, *, solved: bool,
) -> LanguageModel:
    """The model, in eval mode on its device. `solved`: its size may be one that was solved for, and be to blame.

    Raises HarnessError where it breaks the contract.
    """
    short_call = _short_call(device)
    try:
        short_call(model)
    except ContractBroken as broken:
        blame = blame_size(spec, options, model.vocab_size, model.config, short_call) if solved else ""
        raise HarnessError("; ".join(filter(None, [
            f"the model breaks the contract: {broken.detail}", blame]))) from broken
    return model


def _short_call(device: str) -> Callable[[LanguageModel], None]:
    @torch.no_grad()
    def call(model: LanguageModel) -> None:
        tokens = uniform_tokens(model.vocab_size, 2, 3).to(device)
        Probe(model.eval().to(device), torch.device(device), "float32")(tokens)

    return call
