"""Models of equal state: the width is solved by measuring, and what cannot be reached is told."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness import sizing
from harness.build import build
from harness.errors import PluginError, Unsupported, UsageError
from harness.model import LanguageModel, ParameterCount, count_parameters, state_bytes
from harness.options import make_config
from harness.registry import load
from harness.sizing import StepRefused, count_on_meta, match_parameters, match_state
from harness.specs import ModelSpec

MODELS = load().models
VOCAB, LENGTH = 257, 24


@dataclass(frozen=True)
class FixedConfig:
    dim: int = 8


class Fixed(LanguageModel):
    """Carries four bytes, whatever its width."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.head = nn.Linear(config.dim, vocab_size)

    def forward(self, tokens, state=None):
        return self.head(torch.zeros(*tokens.shape, self.config.dim)), torch.zeros(len(tokens), 1)


FIXED = ModelSpec("fixed", f"{__name__}:Fixed", f"{__name__}:FixedConfig", "classical", "", "")


@pytest.mark.parametrize("name", ["baseline", "ssm", "wave"])
@pytest.mark.parametrize("target", [4_000, 16_000])
def test_the_state_after_the_length_is_the_target_or_the_nearest(name, target):
    built = build(MODELS[name], {}, VOCAB, state_bytes=target, seq_len=LENGTH, params=999)
    with torch.no_grad():
        reached = state_bytes(built.model.eval()(torch.zeros(1, LENGTH, dtype=torch.int64))[1])
    assert abs(reached / target - 1) < 0.02 or str(reached) in built.note
    assert 0.5 < reached / target < 2


def test_a_longer_text_leaves_attention_a_narrower_model():
    short, long = (build(MODELS["baseline"], {}, VOCAB, state_bytes=16_000, seq_len=length) for length in (16, 64))
    assert short.config.dim > 2 * long.config.dim


def test_what_cannot_be_is_told(monkeypatch):
    with pytest.raises(Unsupported, match="the state of fixed does not depend on its width"):
        match_state(FIXED, FixedConfig(), set(), VOCAB, 4_000, LENGTH)
    config = make_config(MODELS["ssm"], {"dim": "32"})
    with pytest.raises(UsageError, match="ssm:dim=32 fixes what --state-bytes solves for"):
        match_state(MODELS["ssm"], config, {"dim"}, VOCAB, 4_000, LENGTH)
    monkeypatch.setattr(sizing, "MOST_PARAMETERS", 100_000)
    with pytest.raises(Unsupported, match="a state of 100000 bytes takes ssm more than 100,000 parameters"):
        build(MODELS["ssm"], {}, VOCAB, state_bytes=100_000, seq_len=LENGTH)


@dataclass(frozen=True)
class HeadsConfig:
    """Refuses widths that the heads do not divide, and hidden sizes that the groups do not, and says no steps."""

    dim: int = 12
    hidden: int | None = None
    heads: int = 3
    groups: int = 4

    def __post_init__(self):
        if self.dim % self.heads or (self.hidden or 0) % self.groups:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}, or hidden of groups")


class StepConfig(HeadsConfig):
    width_step = property(lambda self: self.heads)
    hidden_step = property(lambda self: self.groups)


class WidthStepConfig(HeadsConfig):
    width_step = property(lambda self: self.heads)


class WrongStepConfig(HeadsConfig):
    width_step = 0.5


class Headed(LanguageModel):
    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        hidden = config.hidden or 4 * config.dim
        self.up, self.down = nn.Linear(config.dim, hidden), nn.Linear(hidden, config.dim)

    def forward(self, tokens, state=None):
        return torch.zeros(*tokens.shape, VOCAB), torch.zeros(len(tokens), self.config.dim)


def headed(config):
    return ModelSpec("headed", f"{__name__}:Headed", f"{__name__}:{config.__name__}", "classical", "", "")


@pytest.mark.parametrize("target", [500, 3_000, 40_000])
def test_width_and_hidden_go_in_the_steps_of_the_config(target):
    config = build(headed(StepConfig), {}, VOCAB, params=target).config
    assert config.dim % 3 == 0 and config.hidden % 4 == 0


@pytest.mark.parametrize(("config", "words"), [
    (HeadsConfig, r"headed does not take dim=\d+ \(ValueError: dim \d+ is no multiple.*width_step"),
    (WidthStepConfig, r"headed does not take hidden=\d+ .*hidden_step"),
    (WrongStepConfig, r"width_step of WrongStepConfig must be a whole number of at least 1, is 0.5"),
])
def test_a_size_that_is_refused_names_the_step(config, words):
    with pytest.raises(PluginError, match=words):
        build(headed(config), {}, VOCAB, params=5_000)


def test_a_state_is_solved_for_in_steps_too():
    assert build(headed(StepConfig), {}, VOCAB, state_bytes=400, seq_len=LENGTH).config.dim in (99, 102)
    with pytest.raises(StepRefused, match=r"headed does not take dim=1 .*width_step"):
        build(headed(HeadsConfig), {}, VOCAB, state_bytes=400, seq_len=LENGTH)


def test_what_is_wrong_at_every_size_is_raised_as_it_is():
    def broken(config):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        sizing.Field("headed", HeadsConfig(), "dim", broken).value(1)


class Filled(LanguageModel):
    """Draws its values in every way there is."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.head = nn.Linear(config.dim, vocab_size)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(tensor=self.head.bias)
        self.scale = nn.Parameter(torch.empty(config.dim).uniform_())


class Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **kwargs or {})


def test_counting_draws_no_values():
    """They cost more than all the rest, and the count is that of the real model."""
    spec = ModelSpec("filled", f"{__name__}:Filled", f"{__name__}:FixedConfig", "classical", "", "")
    with Operations() as operations:
        count = count_on_meta(spec, FixedConfig(), VOCAB)
    assert count == count_parameters(Filled(FixedConfig(), VOCAB))
    assert not operations.names & {"normal_", "uniform_"}


@dataclass(frozen=True)
class RoundedConfig:
    """The MLP is rounded up to 64 channels, no width below 24 is taken, and a third knob is the finest."""

    dim: int = 24
    hidden: int | None = None
    state: int = 4
    knobs, width_step, width_least, hidden_least, state_least = ("hidden", "state"), 8, 24, 10, 2

    def __post_init__(self):
        if self.dim < 24 or (self.hidden is not None and self.hidden < 10) or self.state < 2:
            raise ValueError("too small")


class Rounded(LanguageModel):
    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.embed, self.state = nn.Embedding(vocab_size + 3, config.dim), nn.Linear(config.dim, 5 * config.state)
        self.up = nn.Linear(config.dim, -(-(config.hidden or 4 * config.dim) // 64) * 64)


ROUNDED = ModelSpec("rounded", f"{__name__}:Rounded", f"{__name__}:RoundedConfig", "classical", "", "")


def test_a_rounded_mlp_is_solved_for_and_a_third_knob_reaches_what_two_do_not():
    match = match_parameters(ROUNDED, RoundedConfig(), set(), VOCAB, 30_000)
    two = match_parameters(ROUNDED, RoundedConfig(), {"state"}, VOCAB, 30_000)
    assert match.config.hidden != RoundedConfig().hidden and match.config.dim % 8 == 0
    assert abs(match.error) < abs(two.error) and not match.note


def test_sizes_begin_at_the_smallest_that_is_taken():
    """No size below it is tried; what is too small a target gets the smallest."""
    config = match_parameters(ROUNDED, RoundedConfig(), set(), VOCAB, 100).config
    assert (config.dim, config.state) == (24, 2)


def test_a_miss_of_exactly_the_tolerance_is_no_miss():
    assert not sizing.Match(None, ParameterCount(29_400, 0), 30_000).note
    assert sizing.Match(None, ParameterCount(29_399, 0), 30_000).note


def test_a_knob_that_is_no_field_is_named():
    class Unknown(RoundedConfig):
        knobs = ("depth",)

    with pytest.raises(PluginError, match="knobs of Unknown names 'depth', which is none of its fields"):
        match_parameters(ROUNDED, Unknown(), set(), VOCAB, 30_000)


@pytest.mark.parametrize("name", ["baseline", "ssm"])
def test_a_width_of_the_size_of_the_vocabulary_is_no_table(name):
    """At as many channels as there are tokens, every matrix has a dimension of that size."""
    config = make_config(MODELS[name], {"dim": "64", "hidden": "64"})
    equal, apart = (count_on_meta(MODELS[name], config, vocab) for vocab in (64, 100))
    assert equal.embedding == 64 * 64 and apart.embedding == 100 * 64
    assert equal.non_embedding == apart.non_embedding


def test_a_table_with_further_rows_is_a_table():
    assert count_on_meta(ROUNDED, RoundedConfig(), VOCAB).embedding == (VOCAB + 3) * 24


def test_counting_moves_no_random_state():
    model = Filled(FixedConfig(), VOCAB)
    before = torch.get_rng_state()
    count_parameters(model)
    assert torch.equal(torch.get_rng_state(), before)
