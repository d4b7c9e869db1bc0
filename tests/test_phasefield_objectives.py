"""The terms beside the cross entropy: known values for known states, what gradients reach, and the published ones.

States are complex (B, T, d); `wave(frequency)` turns every channel by a fixed angle a token.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from harness.plugins.phasefield import as_published as published
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.model import PhaseField
from harness.plugins.phasefield.objectives import coherence, diversity, energy

VOCAB, B, T, D = 17, 2, 240, 6
SMALL = {"dim": D, "layers": 2, "window": 8, "context": 4, "slots": 10, "concepts": 9,
         "banks": ("semantic", "context"), "memory": "associative", "episodic": True}


def make(**options) -> PhaseField:
    torch.manual_seed(0)
    return PhaseField(PhaseFieldConfig(**SMALL, **options), VOCAB).double().train()


def tokens(batch: int = B, length: int = 40) -> torch.Tensor:
    return torch.randint(VOCAB, (batch, length), generator=torch.Generator().manual_seed(1))


def noise(length: int = T, batch: int = B) -> torch.Tensor:
    return torch.randn(batch, length, 2 * D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def wave(*turns: float, length: int = T) -> torch.Tensor:
    """Channel n makes turns[n] full turns over the text: (B, T, 2d) planes, every token of unit size."""
    angle = 2 * math.pi * torch.arange(length)[:, None] * torch.tensor(turns, dtype=torch.float64) / length
    return torch.cat([angle.cos(), angle.sin()], dim=-1).expand(B, -1, -1)


# Coherence

def test_steady_phases_are_coherent_whatever_their_rate():
    for turns in ((1, 2, 3, 4, 5, 6), (60, 119, 20, -7, 80, 1)):
        assert float(coherence(wave(*turns))) == pytest.approx(0, abs=0.01)
    drift = wave(1, 2, 3, 4, 5, 6) + noise()
    assert 0.3 < float(coherence(drift)) < 0.8


def test_tokens_that_have_nothing_to_do_with_each_other_are_not():
    one, many = float(coherence(noise(100))), float(coherence(noise(20_000, 4)))
    assert 0.8 < one < many < 1
    assert 1 - many == pytest.approx(math.sqrt(math.pi / 4 / (4 * 19_999)), rel=0.5)            # what chance agrees


def test_equal_states_cost_the_whole_and_are_no_resting_place():
    state = noise(1).expand(B, T, -1)
    assert float(coherence(state)) == pytest.approx(1)
    assert float(coherence(noise(1))) == pytest.approx(1)                       # one token has no neighbour
    shrunk = [float(coherence(state + size * wave(1, 2, 3, 4, 5, 6))) for size in (1.0, 1e-2, 1e-4)]
    assert shrunk[0] < 0.1 and shrunk[0] <= shrunk[1] < shrunk[2] > 0.9         # less variance is never a gain
    assert float(published.published_coherence(state)) == pytest.approx(0, abs=1e-7)
    assert float(published.published_coherence(wave(*[60] * D))) == pytest.approx(1)            # a quarter turn a token


def test_a_channel_weighs_as_much_as_it_varies():
    silent = torch.ones(D, dtype=torch.float64)
    silent[1:] = 0.01
    mixed = torch.cat([wave(*range(1, D + 1))[..., :1], noise()[..., 1:D], wave(*range(1, D + 1))[..., D:D + 1],
                       noise()[..., D + 1:]], dim=-1) * silent.repeat(2)
    assert float(coherence(mixed)) < 0.05


def test_coherence_is_the_formula():
    z = noise(9)
    x = torch.complex(*(z / z.square().mean(-1, keepdim=True).sqrt()).chunk(2, dim=-1))
    u = x - x.mean(dim=1, keepdim=True)
    agreement, variance = 0.0, 0.0
    for n in range(D):
        agreement += abs(sum(u[b, t, n].conj() * u[b, t + 1, n] for b in range(B) for t in range(8)))
        variance += sum(abs(u[b, t, n]) ** 2 + abs(u[b, t + 1, n]) ** 2 for b in range(B) for t in range(8)) / 2
    assert float(coherence(z)) == pytest.approx(float(1 - agreement / variance), abs=1e-4)


# Diversity and energy

def test_diversity_is_the_mean_square_of_the_cosine():
    a, turned = noise(), torch.cat([-noise()[..., D:], noise()[..., :D]], dim=-1)
    assert float(diversity([a, -3 * a])) == pytest.approx(1)
    assert float(diversity([a, turned])) == pytest.approx(0)
    assert float(diversity([a, a, turned])) == pytest.approx(1 / 3)
    assert float(diversity([a, a.flip(0)])) == pytest.approx(1 / (2 * D), rel=0.3)


def test_energy_is_the_distance_of_sizes_from_one():
    state = F.normalize(noise(), dim=-1) * math.sqrt(2 * D)
    for size, expected in ((1.0, 0), (3.0, 4), (0.0, 1)):
        assert float(energy(size * state)) == pytest.approx(expected)


@pytest.mark.parametrize("term", [coherence, energy, lambda z: diversity([z, z.flip(-1)])])
def test_terms_are_means_over_any_batch(term):
    z = noise()
    torch.testing.assert_close(term(torch.cat([z, z, z])), term(z))


def test_terms_do_not_undo_each_other():
    """Energy moves a state along itself, coherence and diversity across."""
    z = noise().requires_grad_()
    along, = torch.autograd.grad(energy(z), z)
    assert float(F.cosine_similarity(along, z.detach(), dim=-1).abs().min()) == pytest.approx(1)
    for term in (coherence(z), diversity([z, noise(T, B).flip(1)])):
        across, = torch.autograd.grad(term, z)
        assert float((across * along).sum(-1).abs().max()) < 1e-5 * float(across.norm(dim=-1).max() * along.norm())


# In the model

def gradients(model: PhaseField, term: str) -> set[str]:
    model(tokens())
    losses = model.auxiliary_losses()
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(losses[term], parameters, allow_unused=True)
    return {name for name, grad in zip(names, found, strict=True) if grad is not None and grad.abs().max() > 0}


def test_gradients_reach_what_they_are_about():
    model = make(coherence=1.0, energy=1.0)
    everything = {name for name, _ in model.named_parameters()}
    for term in ("coherence", "energy"):
        assert gradients(model, term) == everything - {"head.scale"}
    assert gradients(model, "coupling") == {n for n in everything if n.startswith("banks.")} | {"embedding.weight"}


@pytest.mark.parametrize("term", ["coherence", "energy", "coupling"])
def test_a_term_falls_where_it_is_followed(term):
    model = make(coherence=1.0, energy=1.0, diversity=1.0)
    values = []
    for _ in range(3):
        model(tokens())
        loss = model.auxiliary_losses()[term]
        values.append(float(loss.detach()))
        live = [p for p in model.parameters() if p.requires_grad]
        for parameter, grad in zip(live, torch.autograd.grad(loss, live, allow_unused=True), strict=True):
            if grad is not None:
                parameter.data -= 0.01 * grad
    assert values[0] > values[1] > values[2]


def test_weights_scale_and_zero_computes_and_keeps_nothing():
    ones, halves = make(coherence=1.0, energy=1.0, diversity=1.0), make(coherence=0.5, energy=0.5, diversity=0.5)
    losses = []
    for model in (ones, halves):
        model(tokens())
        losses.append(model.auxiliary_losses())
    assert set(losses[0]) == {"coherence", "energy", "coupling"}
    for name, loss in losses[0].items():
        torch.testing.assert_close(loss, 2 * losses[1][name])
    off = make(diversity=0.0)
    off(tokens())
    assert off.auxiliary_losses() == {} and off._readings == [] and off._last is None
    make()(tokens())
    assert list(make().auxiliary_losses()) == []
    ones.eval()(tokens())
    assert ones.auxiliary_losses() == {}


def test_terms_change_no_logits_and_training_is_evaluation():
    with_terms, without = make(coherence=1.0, energy=1.0), make(diversity=0.0)
    assert torch.equal(with_terms(tokens())[0], without(tokens())[0])
    trained = with_terms(tokens())[0]
    assert torch.equal(with_terms.eval()(tokens())[0], trained)


# As published

def test_the_published_weights_and_formulas():
    config = PhaseFieldConfig(**SMALL, as_published=True)
    assert config.state_losses == {"coherence": 0.01} and config.diversity_weight == 0.1
    right = PhaseFieldConfig(**SMALL)
    assert right.state_losses == {} and right.diversity_weight == 0.01
    model = make(as_published=True, dropout=0.0, energy=1.0)
    states = []
    model.head.register_forward_pre_hook(lambda _, given: states.append(given[0]))
    model(tokens())
    losses, z = model.auxiliary_losses(), torch.complex(*states[0].chunk(2, dim=-1))
    inner = (z[:, :-1] * z[:, 1:].conj()).sum(-1).real / (z[:, :-1].norm(dim=-1) * z[:, 1:].norm(dim=-1))
    torch.testing.assert_close(losses["coherence"], 0.01 * (1 - inner).mean())
    torch.testing.assert_close(losses["energy"], (z.abs() - 1).square().mean(), rtol=1e-4, atol=1e-4)
    assert set(losses) == {"coherence", "energy", "coupling"}
    assert make(as_published=True, coherence=0.0).config.state_losses == {}


def test_following_the_published_coherence_makes_all_states_alike():
    """Gradient steps on free states: the published term takes their variance away, ours leaves it."""
    spread = {}
    for name, term in (("published", published.published_coherence), ("right", coherence)):
        z = noise(30).requires_grad_()
        optimizer = torch.optim.Adam([z], lr=0.05)
        for _ in range(300):
            optimizer.zero_grad()
            term(z).backward()
            optimizer.step()
        assert float(term(z).detach()) < 0.2
        unit = F.normalize(z.detach(), dim=-1)
        spread[name] = float(unit.var(dim=1).sum(-1).mean())
    assert spread["published"] < 0.4 < 0.8 < spread["right"]
