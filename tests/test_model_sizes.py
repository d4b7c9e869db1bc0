"""Sizes that are solved for keep a model's proportions: no width is paid for with what is left of another knob."""

import importlib
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from harness import LanguageModel, ModelSpec, sizing
from harness.sizing import match_parameters

VOCAB = 257


@dataclass(frozen=True)
class StatefulConfig:
    """Widths move in long steps, and a state, 16 where nothing is said, is all that is finer."""

    dim: int = 32
    state: int | None = None
    knobs, width_step = ("state",), 8


class Stateful(LanguageModel):
    """19 dim² + 7 dim state parameters beside the vocabulary."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.mix = nn.Parameter(torch.zeros(19, config.dim, config.dim))
        self.write = nn.Parameter(torch.zeros(config.dim, 7 * (config.state or 16)))


STATEFUL = ModelSpec("stateful", f"{__name__}:Stateful", f"{__name__}:StatefulConfig", "classical", "", "")


def size_of(dim, state):
    return 19 * dim * dim + 7 * dim * state


@pytest.mark.parametrize("target", [size_of(40, 1), size_of(40, 2), size_of(40, 1) - 300, size_of(128, 1)])
def test_a_width_that_leaves_a_knob_nothing_gives_way_to_the_next(target):
    """The nearest width, with its default state, lies above each of these."""
    match = match_parameters(STATEFUL, StatefulConfig(), set(), VOCAB, target)
    assert 16 <= match.config.state <= 64 and match.config.dim in (32, 120) and not match.note


@pytest.mark.parametrize("state", [4, 6, 16, 24])
def test_a_knob_within_its_proportions_keeps_the_nearest_width(state):
    match = match_parameters(STATEFUL, StatefulConfig(), set(), VOCAB, size_of(40, state))
    assert match.config == StatefulConfig(dim=40, state=state) and not match.note


@pytest.mark.parametrize(("options", "target", "note"), [
    ({"dim": 40}, size_of(40, 1), "state is 1, the least that it takes, where its default is 16"),
    ({"dim": 40}, size_of(40, 3), "state is 3 where its default is 16"),
    ({"dim": 40}, size_of(40, 65), "state is 65 where its default is 16"),
    ({"dim": 40}, size_of(40, 64), ""),
    ({}, size_of(8, 1) // 2, "nearest reachable to 636 parameters is 1272 (+100.0%); "
                             "state is 1, the least that it takes, where its default is 16"),
])
def test_a_knob_that_ends_far_from_its_default_is_told(options, target, note):
    assert match_parameters(STATEFUL, StatefulConfig(**options), set(options), VOCAB, target).note == note


def test_what_the_other_width_cannot_be_leaves_the_nearest():
    @dataclass(frozen=True)
    class Fewest(StatefulConfig):
        def __post_init__(self):
            if self.dim == 32 and (self.state or 0) > 8:
                raise ValueError("no state of more than 8 at this width")

    match = match_parameters(STATEFUL, Fewest(dim=40), set(), VOCAB, size_of(40, 1))
    assert (match.config.dim, match.config.state) == (40, 1) and match.note


@pytest.mark.parametrize(("value", "default", "least", "fell"), [
    (1, 1, 1, False), (1, 2, 1, True), (4, 16, 1, False), (3, 16, 1, True), (99, 16, 1, False)])
def test_a_knob_falls_to_its_least_or_below_a_quarter_of_its_default(value, default, least, fell):
    assert sizing.Knob("state", value, default, least).fell is fell


def test_a_field_that_is_nothing_by_default_has_no_proportion():
    """None is without an MLP there: no size of it is far off."""
    @dataclass(frozen=True)
    class Config:
        hidden: int | None = None

    assert sizing.Field("bare", Config(), "hidden", lambda config: 10 + 4 * (config.hidden or 0)).knob(50) == ()


class Late(Stateful):
    """Imports its package when it is built, as one does that costs seconds."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        importlib.import_module("computes_as_it_is_imported")


def test_a_package_that_computes_as_it_is_imported_is_no_trouble(tmp_path, monkeypatch):
    """Parameters are counted without storage, where a tensor has no value to be asked for."""
    (tmp_path / "computes_as_it_is_imported.py").write_text("import torch\nBIAS = torch.ones(1).expm1().item()\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = ModelSpec("late", f"{__name__}:Late", f"{__name__}:StatefulConfig", "classical", "", "",
                     requires=("computes_as_it_is_imported",))
    assert match_parameters(spec, StatefulConfig(), set(), VOCAB, size_of(40, 16)).config.dim == 40
