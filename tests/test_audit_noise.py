"""Training that differs from evaluation by noise passes; training that sees or computes something else never does."""

import dataclasses
import os
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_cheats import DIM, TEXT, Window, shifted
from torch import nn

from harness.audit import auditor
from harness.audit.auditor import audit
from harness.audit.randomness import Silence, Sources
from harness.audit.training import DRAWS, MOST

CPU = torch.device("cpu")


def dropped(h, rate=0.1):
    return F.dropout(h, rate, True)


class Noisy(Window):
    """`noise(h)` in training, `quiet(h)` in evaluation, where by default nothing happens."""

    def __init__(self, config=None):
        super().__init__(config)
        self.lin = nn.Linear(DIM, DIM)
        self.build()

    def build(self):
        pass

    def tamper(self, h, x, tokens):
        h = torch.tanh(self.lin(h)) + h
        return self.noise(h) if self.training else self.quiet(h)

    def quiet(self, h):
        return h


class FunctionalDropout(Noisy):
    def noise(self, h):
        return dropped(h)


class DictDropout(Noisy):
    """Modules in a plain dict, which neither modules() nor train() reaches."""

    def build(self):
        self.drops = {"residual": nn.Dropout(0.2)}

    def noise(self, h):
        return self.drops["residual"](h)


class AttentionDropout(Noisy):
    """Dropout inside a fused kernel, here over the single key that a token is to itself."""

    def noise(self, h):
        one = h.flatten(0, 1)[:, None]
        return F.scaled_dot_product_attention(one, one, one, dropout_p=0.2)[:, 0].view_as(h)


class RecurrentDropout(Noisy):
    """Dropout inside a kernel of torch, between the layers of a GRU of one step."""

    def build(self):
        self.gru = nn.GRU(DIM, DIM, num_layers=2, dropout=0.3, batch_first=True)

    def noise(self, h):
        return self.gru(h.flatten(0, 1)[:, None])[0][:, 0].view_as(h)

    quiet = noise


@dataclasses.dataclass
class DecidesAnew:
    """Its constructor forgets what was decided behind it, as configs of libraries do."""

    dropout: float = 0.1
    slope: float | None = None

    def __post_init__(self):
        self.slope = None


class ChosenLater(Noisy):
    """Another function where its config is made anew; its noise is drawn inside a kernel."""

    def build(self):
        self.settings = DecidesAnew()
        self.settings.slope = 2.0

    def tamper(self, h, x, tokens):
        h, rate = h * (self.settings.slope or 1.0), self.settings.dropout
        return torch.native_dropout(h, rate, True)[0] if rate and self.training else h


class StochasticDepth(Noisy):
    rate, rescaled = 0.2, True

    def build(self):
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(DIM), nn.Linear(DIM, DIM), nn.GELU()) for _ in range(4))

    def skips(self, h):
        return torch.rand(()) < self.rate

    def noise(self, h):
        for block in self.blocks:
            if not self.skips(h):
                h = h + block(h) / (1 - self.rate if self.rescaled else 1)
        return h

    def quiet(self, h):
        for block in self.blocks:
            h = h + block(h)
        return h


class DepthOfPython(StochasticDepth):
    def skips(self, h):
        return random.random() < self.rate


class DepthOfNumpy(StochasticDepth):
    def skips(self, h):
        return np.random.rand() < self.rate


class DepthOfItsOwn(StochasticDepth):
    def build(self):
        super().build()
        self.generator = torch.Generator().manual_seed(3)

    def skips(self, h):
        return torch.rand((), generator=self.generator) < self.rate


class LayerDrop(StochasticDepth):
    rescaled = False


class RareDepth(StochasticDepth):
    """Most draws drop nothing: the noise shows itself only after many."""
    rate = 0.02

    def build(self):
        super().build()
        self.blocks = self.blocks[:1]


class SpectralNorm(Noisy):
    """Its power iteration moves buffers at every training forward."""

    def build(self):
        self.lin = nn.utils.parametrizations.spectral_norm(self.lin)

    def noise(self, h):
        return h


class SpectralNormHook(SpectralNorm):
    def build(self):
        self.lin = nn.utils.spectral_norm(self.lin)


class SpectralNormAndDropout(SpectralNorm):
    def noise(self, h):
        return dropped(h)


class WeightNoise(Noisy):
    def noise(self, h):
        weight = self.lin.weight
        return h + F.linear(h, weight + 0.1 * torch.randn_like(weight))

    def quiet(self, h):
        return h + F.linear(h, self.lin.weight)


class Multiplied(Noisy):
    def noise(self, h):
        return h * torch.distributions.Normal(torch.ones_like(h), 0.3).rsample()


class Jitter(Noisy):
    def noise(self, h):
        return h + torch.empty_like(h).uniform_(-0.3, 0.3)


class WordDropout(Noisy):
    def noise(self, h):
        return h * (torch.rand(h.shape[:2]) > 0.1)[..., None]


class Bernoulli(Noisy):
    def noise(self, h):
        return h * torch.bernoulli(torch.full_like(h, 0.8)) / 0.8


class CountsSteps(Noisy):
    def build(self):
        self.register_buffer("steps", torch.zeros(()))

    def noise(self, h):
        self.steps += 1
        return h


HONEST = [FunctionalDropout, DictDropout, AttentionDropout, RecurrentDropout, StochasticDepth, DepthOfPython,
          DepthOfNumpy, DepthOfItsOwn, LayerDrop, RareDepth, SpectralNorm, SpectralNormHook, SpectralNormAndDropout,
          WeightNoise, Multiplied, Jitter, WordDropout, Bernoulli, CountsSteps, ChosenLater]


@pytest.mark.parametrize("kind", HONEST)
def test_noise_is_no_leak(kind):
    for dtype in ("float32", "bfloat16"):
        report = audit(kind(), [40], dtype=dtype, corpus_tokens=TEXT)
        assert report.passed, report.summary()


class Cheat(Noisy):
    """Honest noise of a kind around what training alone does to h."""

    def tamper(self, h, x, tokens):
        return super().tamper(self.cheat(h, x) if self.training else h, x, tokens)


def future(self, h, x):
    return h + shifted(x, 1)


def faint_future(self, h, x):
    return h + 3e-3 * shifted(x, 1)


def future_at_times(self, h, x):
    return h + shifted(x, 1) if torch.rand(()) < 0.2 else h


def noise_of_the_future(self, h, x):
    """Mean zero: only its spread knows the next token."""
    return h + shifted(x, 1) * (torch.rand_like(h) - 0.5)


def other_rows(self, h, x):
    return h - h.mean(0, keepdim=True)


def other_function(self, h, x):
    return h * (1 + 0.1 * torch.tanh(h))


def larger(self, h, x):
    return 3 * h


LEAK, MOVED, MEAN = "under equal noise, changing", "training at dropout 0 moves", "the mean of training is off"
CHEATS = [
    *((noise, cheat, MOVED) for noise in (FunctionalDropout, DictDropout, WeightNoise, SpectralNorm)
      for cheat in (future, faint_future, other_rows, other_function)),
    *((noise, cheat, MEAN) for noise in (StochasticDepth, Jitter) for cheat in (future, other_rows, larger)),
    *((noise, cheat, LEAK) for noise in (FunctionalDropout, StochasticDepth, Jitter, WordDropout)
      for cheat in (future_at_times, noise_of_the_future)),
    *((noise, faint_future, LEAK) for noise in (StochasticDepth, Jitter, WordDropout)),
]


@pytest.mark.parametrize(("noise", "cheat", "reason"), CHEATS, ids=lambda case: getattr(case, "__name__", ""))
def test_noise_hides_nothing(noise, cheat, reason):
    report = audit(type("Hidden", (Cheat, noise), {"cheat": cheat})(), [40], corpus_tokens=TEXT)
    assert {f.check for f in report.failures} == {"train = eval"}, report.summary()
    assert any(reason in f.detail for f in report.failures), report.summary()


class OnlyWhereDropoutIsDeclared(Noisy):
    """Behaves where it finds its rates set to zero, as an audit may do."""

    def build(self):
        self.drop = nn.Dropout(0.1)

    def noise(self, h):
        return self.drop(1.5 * h if self.drop.p > 0 else h)


class OnlyWhereDropoutDrops(Noisy):
    """Looks whether dropout does anything before it reads the next token."""

    def noise(self, h):
        drops = bool((F.dropout(torch.ones(999), 0.5) == 0).any())
        return dropped(h + shifted(h, 1) if drops else h)


class OnlyWithAGraph(Noisy):
    def noise(self, h):
        return h + shifted(h, 1) if torch.is_grad_enabled() and torch.rand(()) < 2 else h


class Unrepeatable(Noisy):
    """Noise that nobody can repeat, so that nothing can be shown."""

    def noise(self, h):
        return h * (1 + torch.rand(()) * os.urandom(1)[0] / 255)


class Unseen(Unrepeatable):
    def noise(self, h):
        return h * (1 + os.urandom(1)[0] / 255)


class NormOfTheBatch(Noisy):
    def build(self):
        self.norm = nn.BatchNorm1d(DIM)

    def noise(self, h):
        return self.norm(h.transpose(1, 2)).transpose(1, 2)

    quiet = noise


class Remembers(Noisy):
    """A buffer takes up the text; noise beside it."""

    def build(self):
        self.register_buffer("memory", torch.zeros(DIM))

    def noise(self, h):
        self.memory += h.detach().mean((0, 1))
        return dropped(h)

    def quiet(self, h):
        return h + self.memory


class RemembersElsewhere(Remembers):
    def build(self):
        self.memory = torch.zeros(DIM)


@pytest.mark.parametrize(("cheat", "reason"), [
    (OnlyWhereDropoutIsDeclared, MOVED), (OnlyWhereDropoutDrops, "training"), (OnlyWithAGraph, "training"),
    (Unrepeatable, "under equal noise, calling again"), (Unseen, "draws no noise"), (NormOfTheBatch, MOVED),
    (Remembers, "mark of the text it read"), (RemembersElsewhere, "mark beside weights and buffers"),
], ids=lambda case: getattr(case, "__name__", ""))
def test_training_that_is_something_else(cheat, reason):
    report = audit(cheat(), [40], corpus_tokens=TEXT)
    assert {f.check for f in report.failures} == {"train = eval"}, report.summary()
    assert any(reason in f.detail for f in report.failures), report.summary()


@pytest.mark.parametrize(("noise", "cheat", "defence"), [
    (StochasticDepth, faint_future, "train_suffixes"), (Jitter, noise_of_the_future, "train_suffixes"),
    (StochasticDepth, larger, "off_its_mean"), (Jitter, larger, "off_its_mean"),
])
def test_each_defence_is_needed(noise, cheat, defence, monkeypatch):
    """Without it the cheat passes: what catches it is the defence, and nothing beside it."""
    if defence == "train_suffixes":
        monkeypatch.setattr(auditor.Auditor, defence, lambda *_: True)
    else:
        monkeypatch.setattr(auditor, defence, lambda *_: auditor.Difference())
    assert audit(type("Hidden", (Cheat, noise), {"cheat": cheat})(), [40], corpus_tokens=TEXT).passed


def test_every_random_state_is_restored():
    model = DepthOfItsOwn()
    model.bits, model.python = np.random.default_rng(1), [random.Random(2)]

    def drawn():
        return (float(torch.rand(())), random.random(), np.random.rand(), model.bits.random(),
                model.python[0].random(), float(torch.rand((), generator=model.generator)))

    with Sources(model, CPU).kept():
        expected = drawn()
    audit(model, [16])
    assert drawn() == expected


def test_sources_repeat_and_tell_whether_any_was_drawn_from():
    model = DepthOfItsOwn()
    model.bits, model.old, model.python = np.random.default_rng(1), np.random.RandomState(1), random.Random(2)
    sources = Sources(model, CPU)
    draws = [lambda: torch.rand(()), random.random, np.random.rand, model.bits.random, model.old.rand,
             model.python.random, lambda: torch.rand((), generator=model.generator)]
    with sources.kept():
        for draw in draws:
            sources.seed(4)
            before, first = sources.state(), float(draw())
            assert sources.state() != before, draw
            sources.seed(4)
            assert sources.state() == before and float(draw()) == first, draw


@pytest.mark.parametrize(("call", "expected"), [
    (lambda x: F.dropout(x, 0.5), 1), (lambda x: nn.Dropout1d(0.5)(x), 1), (lambda x: F.alpha_dropout(x, 0.5, True), 1),
    (lambda x: torch.dropout(x, 0.5, True), 1), (lambda x: F.dropout(input=x, p=0.5), 1), (torch.randn_like, 0),
    (lambda x: torch.randn(2, 3), 0), (lambda x: torch.normal(2.0, 1.0, (2, 3)), 2),
    (lambda x: torch.normal(5 * x, 1.0), 5), (lambda x: torch.empty(2, 3).normal_(3.0, 1.0), 3),
    (lambda x: torch.empty(2, 3).normal_(mean=4.0), 4),
    (lambda x: nn.init.normal_(torch.empty(2, 3), 6.0), 6),
])
def test_silence_gives_what_noise_is_about_and_draws_nothing(call, expected):
    sources = Sources(nn.Linear(1, 1), CPU)
    before = sources.state()
    with Silence(sources):
        got = call(torch.ones(2, 3))
    assert torch.equal(got, torch.full((2, 3), float(expected)))
    assert sources.state() == before


def test_cost_of_noise_is_bounded():
    """Honest noise costs about as many forwards as the rest; only noise that seems wrong is drawn to the end."""
    def calls(model, length=256):
        counted = []
        hook = model.register_forward_hook(lambda *_: counted.append(1))
        audit(model, [length])
        hook.remove()
        return len(counted)

    plain, noisy = calls(Window()), calls(FunctionalDropout())
    wrong = calls(type("Hidden", (Cheat, Jitter), {"cheat": larger})())
    assert plain < 110 and noisy < plain + 2 * (2 * DRAWS + 50) and wrong < plain + 2 * MOST + 40, (plain, noisy, wrong)
