"""The state-space model: a carried state, the recurrence against its sequential form, half-lives as declared."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from harness.plugins import ssm
from harness.plugins.ssm.config import StateSpaceConfig
from harness.plugins.ssm.model import MAX_DECAY, Recurrence, StateSpace
from laws import assert_a_token_changes_only_what_follows_it, in_pieces
from torch.utils.flop_counter import FlopCounterMode

from harness.model import count_parameters, state_bytes
from harness.specs import resolve

VOCAB, B, T = 17, 2, 41


def make(**options) -> StateSpace:
    torch.manual_seed(0)
    model = StateSpace(StateSpaceConfig(**{"dim": 16, "layers": 2, **options}), VOCAB).eval()
    for parameter in model.parameters():
        if parameter.ndim == 3:                                     # a convolution that is not the identity
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def tokens(length: int = T) -> torch.Tensor:
    return torch.randint(VOCAB, (B, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("options", [{}, {"conv": 0, "state": 24}, {"tied": False, "conv": 2, "expand": 2}], ids=str)
@pytest.mark.parametrize("cuts", [[1], [40], [2, 3], [5, 6, 7], [16, 33], list(range(1, T))], ids=str)
def test_cutting_a_text_changes_nothing(options, cuts):
    model = make(**options)
    whole, end = model(tokens())
    pieces, state = in_pieces(model, tokens(), cuts)
    torch.testing.assert_close(pieces, whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, end, rtol=1e-5, atol=1e-5)


def test_a_token_changes_only_what_follows_it():
    assert_a_token_changes_only_what_follows_it(make(), tokens())


@torch.no_grad()
def test_the_recurrence_is_the_formula_step_by_step():
    layer, x, h = Recurrence(6, 5, 64.0).double(), torch.randn(2, 9, 6, dtype=torch.double), torch.randn(2, 5).double()
    layer.initialise_decay()
    got, last = layer(x, h)
    gate, read, u = (x @ layer.into.weight.T + layer.into.bias).chunk(3, dim=-1)
    a = MAX_DECAY / (1 + gate.exp())
    expected = []
    for t in range(9):
        h = a[:, t] * h + (1 - a[:, t] ** 2).sqrt() * u[:, t]
        expected.append(F.silu(read[:, t]) * h @ layer.out.weight.T)
    torch.testing.assert_close(got, torch.stack(expected, dim=1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last, h, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("longest", [1.0, 256.0])
def test_half_lives_start_log_uniform(longest):
    """Without input the state decays to half in the half-life that was asked for."""
    layer = Recurrence(4, 9, longest)
    layer.initialise_decay()
    decay = MAX_DECAY * torch.sigmoid(-layer.into.bias[:9].double())
    expected = longest ** torch.linspace(0, 1, 9).double()
    torch.testing.assert_close(math.log(0.5) / decay.log(), expected, rtol=1e-4, atol=0)
    assert layer.into.bias[9:].abs().max() == 0


def test_the_state_is_as_large_after_any_length():
    model = make()
    sizes = {length: state_bytes(model(tokens(length))[1]) for length in (1, 2, 40)}
    assert set(sizes.values()) == {2 * B * (16 + 3 * 16) * 4}                 # of 2 layers the state and 3 window rows


@pytest.mark.parametrize(("options", "channels"), [({}, 16), ({"expand": 2}, 32), ({"expand": 2, "state": 24}, 24)])
def test_the_recurrence_has_the_channels_that_were_asked_for(options, channels):
    model = make(**options)
    assert {block.recurrence.out.in_features for block in model.blocks} == {channels}
    assert model.flops(B, T, "prefill") - make(state=channels).flops(B, T, "prefill") == 0


def test_every_parameter_learns_and_the_count_is_the_formula():
    model = make(hidden=30, state=24)
    model(tokens())[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    layer = 3 * 24 * (16 + 1) + 24 * 16 + 3 * 16 * 30 + 4 * 16 + 2 * 16
    assert count_parameters(model).non_embedding == 2 * layer + 16
    assert count_parameters(model).embedding == VOCAB * 16


def test_dropout_acts_in_training_only():
    model = make(dropout=0.5)
    assert torch.equal(model(tokens())[0], model(tokens())[0])
    model.train()
    assert not torch.equal(model(tokens())[0], model(tokens())[0])


@pytest.mark.parametrize("conv", [0, 4])
def test_stated_flops_are_those_of_the_counter_and_the_recurrence(conv):
    model = make(conv=conv)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens())
    counted = {str(op): flops for op, flops in counter.get_flop_counts()["Global"].items()}
    gemms = sum(flops for op, flops in counted.items() if "mm" in op)
    assert model.flops(B, T, "prefill") == gemms + counted.get("aten.convolution", 0) + B * T * 2 * 7 * 16
    assert model.flops(B, T, "train") == 3 * model.flops(B, T, "prefill")
    assert model.flops(B, 1000, "decode") * T == model.flops(B, T, "prefill")


@pytest.mark.parametrize(("options", "words"), [
    ({"conv": -1}, "conv"), ({"layers": 0}, "layers"), ({"longest": 0.5}, "longest"), ({"expand": 0}, "expand"),
])
def test_a_config_that_cannot_be_built_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        StateSpaceConfig(**options)


def test_the_hook_names_what_exists():
    spec, = ssm.harness_models()
    assert resolve(spec.target) is StateSpace and resolve(spec.config) is StateSpaceConfig
    assert "torch" not in Path(ssm.__file__).with_name("config.py").read_text()
