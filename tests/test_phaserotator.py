"""The phase-rotator transformer: published counts, what folds into what, cached decoding, a prefix blind to text."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from harness.plugins import phaserotator
from harness.plugins.phaserotator.config import PhaseRotatorConfig
from harness.plugins.phaserotator.layers import LoRALinear, PhaseGain, PhaseRotator
from harness.plugins.phaserotator.model import Attention, PhaseRotatorTransformer
from laws import in_pieces
from torch.utils.flop_counter import FlopCounterMode

from harness import Unsupported
from harness.audit.auditor import audit
from harness.evidence.claims.file import parse_claims
from harness.model import count_parameters, state_bytes
from harness.specs import resolve

VOCAB, B, T, PREFIX = 17, 2, 29, 3
SMALL = {"dim": 24, "layers": 2, "heads": 2, "positions": 40, "global_tokens": PREFIX, "lora_rank": 4}


def make(**options) -> PhaseRotatorTransformer:
    """A small model with every parameter away from where it starts."""
    torch.manual_seed(0)
    model = PhaseRotatorTransformer(PhaseRotatorConfig(**{**SMALL, **options}), VOCAB).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def tokens(length: int = T) -> torch.Tensor:
    return torch.randint(VOCAB, (B, length), generator=torch.Generator().manual_seed(1))


def total(preset: str, vocab_size: int, **options) -> int:
    config = PhaseRotatorConfig(**{**PhaseRotatorConfig.PRESETS[preset], **options})
    with torch.device("meta"):
        return count_parameters(PhaseRotatorTransformer(config, vocab_size)).total


@pytest.mark.parametrize(("preset", "dim", "prefix", "published"), [
    ("original", 512, 8, 26_080_768), ("improved", 768, 16, 88_030_464),
])
def test_the_presets_have_the_published_counts(preset, dim, prefix, published):
    """26.08M and 88.03M over 256 bytes. The token that begins a text adds a row to the embedding and one to the head; a
    rotation takes an angle per pair of channels, not per channel, and no table row goes unread."""
    assert total(preset, 256, as_published=True) == published
    assert total(preset, 257, as_published=True) == published + 2 * dim
    assert total(preset, 256) == published - dim // 2 - prefix * dim


def test_rotation_is_a_complex_phase_and_keeps_the_norm():
    rotator, x = PhaseRotator(4).double(), torch.randn(3, 5, 8, dtype=torch.double)
    torch.nn.init.normal_(rotator.theta)
    turn = torch.exp(1j * math.pi * torch.tanh(rotator.theta))
    expected = torch.complex(x[..., :4], x[..., 4:]) * turn
    torch.testing.assert_close(rotator(x), torch.cat([expected.real, expected.imag], dim=-1))
    torch.testing.assert_close(rotator(x).norm(dim=-1), x.norm(dim=-1))
    angles = (rotator(x)[..., 0] / x[..., 0])
    assert angles.std() > 0.1                                                   # which a gain per channel could not do


def test_the_published_rotator_is_a_gain_and_keeps_no_norm():
    rotator, x = PhaseGain(8).double(), torch.randn(3, 5, 8, dtype=torch.double)
    torch.nn.init.normal_(rotator.theta)
    phi = math.pi * torch.tanh(rotator.theta)
    torch.testing.assert_close(rotator(x), x * phi.cos() - x * phi.sin())
    torch.testing.assert_close(rotator(x) / x, (2**0.5 * torch.cos(phi + math.pi / 4)).expand_as(x))
    assert (rotator(x).norm(dim=-1) / x.norm(dim=-1) - 1).abs().max() > 0.1


@pytest.mark.parametrize("as_published", [True, False])
@torch.no_grad()
def test_the_rotator_folds_into_the_tables(as_published):
    """A fixed linear map of the embedding is another embedding: identical logits without any rotator."""
    model, text = make(as_published=as_published, tied=False).double(), tokens()
    expected, _ = model(text)
    assert model.diagnostics()["rotation_rms"] > 0.1
    for table in (model.embedding, model.positions):
        table.weight.copy_(model.rotator(table.weight))
    model.rotator = torch.nn.Identity()
    torch.testing.assert_close(model(text)[0], expected, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_lora_is_a_reparametrisation_of_a_trained_weight():
    layer, x = LoRALinear(6, 5, 2, 8.0).double(), torch.randn(7, 6, dtype=torch.double)
    assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))         # starts without
    torch.nn.init.normal_(layer.down)
    expected = x @ layer.weight.T + layer.bias + 8 / 2 * (x @ layer.down.T) @ layer.up.T
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(F.linear(x, layer.merged, layer.bias), expected)
    plain = LoRALinear(6, 5, 0, 8.0)
    assert plain.merged is plain.weight and sum(p.numel() for p in plain.parameters()) == 35


@torch.no_grad()
def test_attention_is_the_formula():
    attention, x = Attention(PhaseRotatorConfig(dim=8, heads=2, lora_rank=0)).double(), torch.randn(1, 7, 8).double()
    got, _ = attention(x, None, 0)
    expected = []
    for head in (slice(0, 4), slice(4, 8)):
        q, k, v = (part(x[0])[:, head] for part in (attention.query, attention.key, attention.value))
        weights = (q @ k.T / 2).masked_fill(torch.ones(7, 7).triu(1).bool(), -torch.inf).softmax(-1)
        expected.append(weights @ v)
    torch.testing.assert_close(got[0], attention.out(torch.cat(expected, dim=-1)))


@pytest.mark.parametrize("options", [{}, {"global_tokens": 0}, {"as_published": True}, {"positions": 8}], ids=str)
@pytest.mark.parametrize("cuts", [[1], [28], [5, 6, 7], [16, 23], list(range(1, T))], ids=str)
@torch.no_grad()
def test_cutting_a_text_changes_nothing(options, cuts):
    model = make(**options)
    whole, _ = model(tokens())
    pieces, _ = in_pieces(model, tokens(), cuts)
    torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_positions_beyond_the_table_start_again():
    model = make(positions=8)
    assert model.rows(6, 5, torch.device("cpu")).tolist() == [6, 7, 0, 1, 2]
    model.positions.weight[3] += 1                                              # read by tokens 3, 11, 19, 27
    other = make(positions=8)
    moved = (model(tokens())[0] - other(tokens())[0]).abs().amax(dim=(0, 2))
    assert moved[:3].max() == 0 and moved[3] > 1e-3
    fresh = model.embedding(tokens()) + model.positions.weight[torch.arange(T) % 8]
    assert torch.equal(fresh, model.embedding(tokens()) + model.positions(model.rows(0, T, torch.device("cpu"))))


@torch.no_grad()
def test_as_published_a_text_ends_with_the_table():
    model = make(as_published=True, positions=20)
    _, state = model(tokens(20))
    for text, before in ((tokens(21), None), (tokens(1), state)):
        with pytest.raises(Unsupported, match="ends at 20 tokens; set positions=21"):
            model(text, before)


@torch.no_grad()
def test_the_prefix_is_constant_and_counted_in_the_state():
    """Its keys and values are those of no text at all, and stand in the state of every row."""
    model = make()
    states = [model(text)[1] for text in (tokens(), (tokens() + 1) % VOCAB, tokens(1))]
    for layer in range(2):
        for part in range(2):
            first, *others = (state["buffers"][layer][part][:, :, :PREFIX] for state in states)
            assert first.abs().max() > 0
            assert torch.equal(first[0], first[1])
            for other in others:
                torch.testing.assert_close(other, first)
    counters = 2 * B * 8
    assert state_bytes(states[0]) == 2 * 2 * B * 24 * (PREFIX + T) * 4 + counters
    assert state_bytes(states[2]) == 2 * 2 * B * 24 * (PREFIX + 1) * 4 + counters
    moved = make()
    moved.memory.add_(torch.randn_like(moved.memory))                           # a constant the norm would take out
    assert (moved(tokens())[0] - model(tokens())[0]).abs().amax(dim=(0, 2)).min() > 1e-3      # every token reads it


@pytest.mark.parametrize("options", [{}, {"as_published": True}], ids=str)
def test_both_forms_pass_the_audit(options):
    """The published model is causal too: its defects are those of a rotation that is none and of a table that ends."""
    report = audit(make(**options), [T - 4])
    assert report.passed, report.summary()
    assert report.dead == ()


def test_every_parameter_learns():
    model = make()
    (model(tokens())[0].square().sum() + sum(model.auxiliary_losses().values())).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_the_coherence_loss_is_the_published_formula_and_asks_for_no_rotation():
    model = make(coherence=0.05)
    theta = model.rotator.theta.detach().double()
    expected = (theta[1:] - theta[:-1]).pow(2).mean() + 0.1 * theta.pow(2).mean()
    torch.testing.assert_close(model.auxiliary_losses()["coherence"].double(), 0.05 * expected)
    torch.nn.init.zeros_(model.rotator.theta)
    assert model.auxiliary_losses()["coherence"].item() == 0
    assert make(coherence=0.0).auxiliary_losses() == {}


def test_logits_start_near_uniform():
    torch.manual_seed(0)
    logits, _ = PhaseRotatorTransformer(PhaseRotatorConfig(), 257)(torch.randint(257, (2, 64)))
    loss = F.cross_entropy(logits.flatten(0, 1), torch.randint(257, (128,)))
    assert loss.item() == pytest.approx(5.55, abs=0.8)


def test_dropout_acts_in_training_only():
    model = make(dropout=0.5)
    assert torch.equal(model(tokens())[0], model(tokens())[0])
    model.train()
    assert not torch.equal(model(tokens())[0], model(tokens())[0])


def test_stated_flops_are_those_of_the_counter():
    """torch counts every pair in attention; here those that the mask leaves count."""
    model = make()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens())
    gemms = sum(n for op, n in counter.get_flop_counts()["Global"].items() if "mm" in str(op))
    length = PREFIX + T
    assert model.flops(B, T, "prefill") == gemms + 4 * 2 * 24 * B * length * (length + 1) // 2
    assert model.flops(B, T, "train") == 3 * model.flops(B, T, "prefill")
    assert model.flops(B, T - 1, "decode") == model.flops(B, T, "prefill") - model.flops(B, T - 1, "prefill")


@pytest.mark.parametrize(("options", "words"), [
    ({"dim": 25}, "even"), ({"heads": 5}, "multiple of heads"), ({"positions": 0}, "positions"),
    ({"global_tokens": -1}, "global_tokens"),
])
def test_a_config_that_cannot_be_built_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        PhaseRotatorConfig(**options)


@pytest.mark.parametrize("dim", [16, 48, 80, 96, 144, 512])
def test_default_heads_divide_the_width(dim):
    heads = PhaseRotatorConfig(dim=dim).attention_heads
    assert dim % heads == 0 and (heads == 1 or dim // heads >= 48)


def test_the_hook_names_what_exists_and_the_claims_are_those_of_the_seed():
    spec, = phaserotator.harness_models()
    assert resolve(spec.target) is PhaseRotatorTransformer and resolve(spec.config) is PhaseRotatorConfig
    assert "import torch" not in Path(phaserotator.__file__).with_name("config.py").read_text()
    claims = parse_claims(phaserotator.harness_claims()[0])
    assert len(claims) == 12 and {claim.source for claim in claims} == {"seed 004"}
