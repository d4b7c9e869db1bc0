"""`phasefield:as_published=true`: each published defect is there, and nothing else is wrong."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from harness.plugins.phasefield import as_published as published
from harness.plugins.phasefield import phase
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.model import PhaseField
from harness.plugins.phasefield.published_backbone import LoopedOscillatorLayer, PublishedOscillatorLayer

from harness.model import count_parameters

VOCAB, B, D = 17, 2, 6
SMALL = {"dim": D, "layers": 2, "context": 4, "slots": 40, "concepts": 9, "dropout": 0.0, "as_published": True}


def config(**options) -> PhaseFieldConfig:
    return PhaseFieldConfig(**{**SMALL, **options})


def make(**options) -> PhaseField:
    torch.manual_seed(0)
    model = PhaseField(config(**options), VOCAB).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():                        # as after some training: 0.02 hides what is there
            parameter += 0.3 * torch.randn_like(parameter)
    return model


def part(kind, **options):
    torch.manual_seed(0)
    return kind(config(**options)).double()


def tokens(length: int) -> torch.Tensor:
    return torch.randint(VOCAB, (B, length), generator=torch.Generator().manual_seed(1))


def planes(length: int, dim: int = D) -> torch.Tensor:
    return torch.randn(B, length, 2 * dim, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def to_complex(z: torch.Tensor) -> torch.Tensor:
    return torch.complex(*z.chunk(2, dim=-1))


def close(actual, expected, tolerance=1e-9):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def change_at_cut(model: PhaseField, length: int, cut: int) -> float:
    """How far cutting a text moves the logits after the cut, in standard deviations."""
    text = tokens(length)
    whole = model(text)[0]
    _, state = model(text[:, :cut])
    return float(((model(text[:, cut:], state)[0] - whole[:, cut:]).abs().max() / whole.std()).detach())


def reads(module, length: int) -> torch.Tensor:
    """(T, T) bool: whether the output at a row depends on the input at a column, by derivatives of a random probe."""
    z = planes(length)[:1].requires_grad_()
    out = (module(z)[0] - z) @ torch.randn(2 * D, dtype=torch.float64)
    rows = torch.autograd.grad(out[0], z, torch.eye(length, dtype=torch.float64), is_grads_batched=True)[0]
    return rows[:, 0].abs().amax(-1) > 0


# Published sizes: a published model of 50257 tokens, without the embedding tables of its other tokenizers.

@pytest.mark.parametrize(("preset", "millions"), [
    ("tiny", 13.48), ("small", 61.73), ("medium", 161.2), ("large", 365.5),
])
def test_the_published_presets_have_the_published_counts(preset, millions):
    with torch.device("meta"):
        model = PhaseField(PhaseFieldConfig(**PhaseFieldConfig.PRESETS[preset], as_published=True), 50257)
    unit = 0.01 if millions < 100 else 0.1
    assert count_parameters(model).total / 1e6 == pytest.approx(millions, abs=unit / 2)


@pytest.mark.parametrize(("dim", "count"), [(64, 58_240), (256, 921_088), (512, 3_677_184), (768, 8_268_288)])
def test_a_layer_has_the_published_count(dim, count):
    with torch.device("meta"):
        layer = PublishedOscillatorLayer(PhaseFieldConfig(dim=dim, as_published=True))
    assert sum(p.numel() for p in layer.parameters()) == count


# What is wrong with it

def test_the_norm_turns_54_percent_of_phases_by_pi():
    z = torch.randn(2000, 2 * 256, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turn = to_complex(published.FlippingNorm(256).double()(z)) / to_complex(z)
    assert float((turn.real < 0).double().mean()) == pytest.approx(1 - math.exp(-math.pi / 4), abs=0.003)
    assert float((turn.imag / turn.real).abs().max().detach()) < 1e-6
    right = to_complex(phase.phase_norm(z)) / to_complex(z)
    assert float(right.real.min()) > 0


def test_the_norm_is_the_published_formula():
    z = to_complex(planes(5))
    size = z.abs()
    spread = torch.sqrt(size.var(-1, keepdim=True, correction=0) + 1e-6)
    expected = z / size * (size - size.mean(-1, keepdim=True)) / spread
    close(to_complex(part(lambda c: published.FlippingNorm(c.dim))(planes(5))), expected, 1e-4)


def test_oscillators_are_the_published_loop_and_forget_in_a_token():
    layer, x = part(PublishedOscillatorLayer, state_dim=5), planes(21)

    def complex_map(module, z):
        return z @ torch.complex(*module.weight).T + torch.complex(*module.bias.chunk(2))

    gate, drive = torch.sigmoid(layer.gate(x)), complex_map(layer.input, to_complex(x))
    delta, rotation = 0.5 + 0.5 * torch.sigmoid(layer.floor), torch.exp(2j * torch.atan(layer.half_tangent))
    h, states = torch.zeros(B, 5, dtype=torch.complex128), []
    for t in range(21):
        h = gate[:, t] * drive[:, t] + (1 - gate[:, t]) * delta * rotation * h
        states.append(h)
    y, last = layer(x, None)
    close(to_complex(y), complex_map(layer.output, torch.stack(states, dim=1)) + complex_map(layer.skip, to_complex(x)))
    close(to_complex(last), h)
    retention = float(delta[0].detach()) / 2                         # the gate starts at one half
    assert retention == pytest.approx(0.381, abs=1e-3)
    assert math.log(0.5) / math.log(retention) == pytest.approx(0.72, abs=0.01)
    degrees = torch.rad2deg(2 * torch.atan(PublishedOscillatorLayer(config(state_dim=4000)).half_tangent))
    assert float(degrees.detach().square().mean().sqrt()) == pytest.approx(1.1, abs=0.1)


@pytest.mark.parametrize("length", [1, 128, 140])
def test_the_published_loop_is_the_scan(length):
    """States, losses and gradients, from a state on, where dropout is off."""
    results, text = [], tokens(length)
    for loop in (False, True):
        model = make(loop=loop).train()
        _, state = model(tokens(3))
        logits, after = model(text, state)
        loss = logits.square().mean() + sum(model.auxiliary_losses().values())
        grads = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        results.append([logits, *after["backbone"], *(grad for grad in grads if grad is not None)])
    for scanned, looped in zip(*results, strict=True):
        close(looped, scanned)


def test_the_published_loop_drops_whole_channels_alike_in_both_planes():
    layer = part(LoopedOscillatorLayer, dropout=0.5).train()
    y, _ = layer(planes(200), None)
    gone = y.unflatten(-1, (2, -1)) == 0
    assert torch.equal(gone[..., 0, :], gone[..., 1, :])
    assert float(gone.double().mean()) == pytest.approx(0.5, abs=0.05)


def test_training_is_another_function_than_evaluation():
    model, text = make(), tokens(20)
    assert (model.train()(text)[0] - model.eval()(text)[0]).abs().max() > 0.1
    coupler, z = part(published.PublishedCoupler), planes(9)
    evaluated = to_complex(coupler.eval()(z, [z, 2 * z])[0])
    close(to_complex(coupler.train()(z, [z, 2 * z])[0]), evaluated * (1 + evaluated.real))


@pytest.mark.parametrize(("options", "length", "cut", "broken"), [
    ({"banks": ("semantic",), "episodic": False}, 100, 33, False),
    ({"banks": ("semantic",), "episodic": False}, 256, 128, False),
    ({"banks": ("semantic",), "episodic": False}, 260, 130, True),      # the state after 126 pad tokens
    ({"banks": ("context",), "episodic": False}, 100, 33, True),        # the window
    ({"banks": ("semantic",), "episodic": True}, 100, 33, True),        # the tokens before
], ids=["complete", "chunk", "padding", "context", "episodic"])
def test_the_state_is_incomplete_where_it_was_published_so(options, length, cut, broken):
    change = change_at_cut(make(**options), length, cut)
    assert change > 1e-3 if broken else change < 1e-9


@pytest.mark.parametrize("length", [100, 128, 129, 200])
def test_the_future_is_never_seen(length):
    model, text = make(), tokens(length)
    other = text.clone()
    other[:, 70:] = (other[:, 70:] + 1) % VOCAB
    assert torch.equal(model(text)[0][:, :70], model(other)[0][:, :70])


def test_episodic_memory_reads_a_sawtooth_beyond_128_tokens():
    memory = part(published.PublishedEpisodicMemory)
    row, column = torch.arange(200)[:, None], torch.arange(200)
    start = row // 64 * 64
    expected = (column >= start - 64) & (column < row)
    expected |= (row == column) & (row > 0)                          # through the query alone
    mask = reads(memory, 200)
    assert torch.equal(mask & ~torch.eye(200, dtype=torch.bool), expected & ~torch.eye(200, dtype=torch.bool))
    spans = (mask & (column < row)).sum(1)
    assert (int(spans[64:].min()), int(spans[64:].max())) == (64, 127)
    value = memory.qkv[4 * D:]                                       # the present token is no value of its own
    first, z = planes(200)[:, :1], planes(200)
    close(memory(z)[0][:, 0], first[:, 0])
    close(memory(z)[0][:, 1] - z[:, 1], 0.1 * first[:, 0] @ value.T)


def test_episodic_memory_is_causal_attention_up_to_128_tokens_and_nothing_for_one():
    memory, z = part(published.PublishedEpisodicMemory), planes(128)
    assert torch.equal(reads(memory, 128)[1:], torch.ones(128, 128, dtype=torch.bool).tril()[1:])
    query, key, value = (z @ memory.qkv.T).chunk(3, dim=-1)
    scores = (query @ key.mT / math.sqrt(2 * D)).masked_fill(torch.ones(128, 128).triu(1).bool(), -math.inf)
    close(memory(z)[0][:, 1:], (z + 0.1 * scores.softmax(-1) @ value)[:, 1:])
    assert torch.equal(memory(z[:, :1])[0], z[:, :1])


def test_associative_memory_reads_its_32_nearest_slots():
    memory, z = part(published.PublishedPhaseMemory), planes(3)
    query = to_complex(z) @ torch.complex(*memory.query.weight).T
    keys, values = to_complex(memory.keys), to_complex(memory.values)
    cosine = (query[:, :, None] * keys.conj()).sum(-1).real / (query.norm(dim=-1)[..., None] * keys.norm(dim=-1))
    kept = cosine >= cosine.sort(dim=-1, descending=True).values[..., 31:32]
    weight = torch.exp(cosine) * kept
    read = (weight / weight.sum(-1, keepdim=True)).to(values.dtype) @ values
    close(memory(z)[0], z + 0.1 * memory.output(torch.cat([read.real, read.imag], dim=-1)), 1e-6)


def test_the_coupling_loss_is_a_constant_whatever_the_banks_say():
    coupler = part(published.PublishedCoupler, dim=256)
    bank = torch.randn(1, 1, 512, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).expand(4, 32, -1)
    other = torch.randn(4, 32, 512, dtype=torch.float64)
    equal, unlike = coupler.loss([bank, bank]), coupler.loss([bank, other])
    close(equal, 0.01 * (0.5 - torch.tensor(4 / (math.pi * 256), dtype=torch.float64)), 1e-5)
    assert float((equal - unlike).abs()) < 0.02 * float(equal)


def test_the_dead_parameters_are_the_published_ones():
    for length in (40, 200):
        model, text = make().train(), tokens(length)
        loss = F.cross_entropy(model(text)[0][:, :-1].flatten(0, 1), text[:, 1:].flatten())
        (loss + sum(model.auxiliary_losses().values())).backward()
        dead = {n for n, p in model.named_parameters() if p.grad is None or not 0 < p.grad.abs().max() < math.inf}
        assert dead == {"banks.0.concept_proj.weight", "banks.0.concept_proj.bias", "memory.slot_importance"}


def test_every_map_is_drawn_from_the_same_small_normal():
    torch.manual_seed(0)
    model = PhaseField(PhaseFieldConfig(dim=64, as_published=True), 257)
    drawn = [p for name, p in model.named_parameters() if p.ndim > 1 and "phases" not in name and p.numel() > 1000]
    assert len(drawn) > 20 and all(abs(float(p.detach().std()) - 0.02) < 0.002 for p in drawn)
    assert model.config.dropout_rate == 0.1 and PhaseFieldConfig().dropout_rate == 0.0
