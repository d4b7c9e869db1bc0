"""The model contract: counting, matching, configs from options, models without a recurrent form."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from harness.build import build
from harness.errors import AuditFailed, Unsupported, UsageError
from harness.model import LanguageModel, TokenHistory, copied_state, count_parameters, state_bytes
from harness.options import make_config
from harness.sizing import match_parameters
from harness.specs import ModelSpec

VOCAB = 11


@dataclass(frozen=True)
class TinyConfig:
    dim: int = 8
    hidden: int | None = None
    shift: int = 0
    PRESETS: ClassVar[dict] = {"small": {"dim": 16}, "large": {"dim": 32, "shift": 1}}

    def __post_init__(self) -> None:
        if self.shift < 0:
            raise ValueError("shift must not be negative")


class Tiny(LanguageModel):
    """dim² + 2 dim hidden non-embedding parameters, hidden 2 dim where not given."""

    def __init__(self, config: TinyConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        dim, hidden = config.dim, config.hidden or 2 * config.dim
        self.embedding = nn.Embedding(vocab_size, dim)
        self.mix = nn.Linear(dim, dim, bias=False)
        self.up, self.down = nn.Linear(dim, hidden, bias=False), nn.Linear(hidden, dim, bias=False)
        self.head = nn.Linear(dim, vocab_size, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens, state=None):
        return self.head(self.down(self.up(self.mix(self.embedding(tokens))))), None


@dataclass(frozen=True)
class CoarseConfig:
    width: int = 64
    width_step = 64


class Coarse(LanguageModel):
    def __init__(self, config: CoarseConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        self.mix = nn.Parameter(torch.zeros(config.width, config.width))


@dataclass(frozen=True)
class ShapelessConfig:
    layers: int = 1


def spec(model: type, config: type) -> ModelSpec:
    return ModelSpec(model.__name__.lower(), f"{__name__}:{model.__name__}", f"{__name__}:{config.__name__}",
                     "classical", "", "")


TINY, COARSE = spec(Tiny, TinyConfig), spec(Coarse, CoarseConfig)


class Reader(Tiny):
    """Keeps what it is told of the vocabulary."""
    pieces = ()

    def read_vocabulary(self, vocabulary):
        self.pieces = vocabulary


def test_a_built_model_is_shown_the_vocabulary():
    pieces = [b"ab", b"", *([b"c"] * (VOCAB - 2))]
    assert build(spec(Reader, TinyConfig), {}, VOCAB, vocabulary=pieces).model.pieces == pieces
    assert build(spec(Reader, TinyConfig), {}, VOCAB).model.pieces == ()


def test_counts_are_real_degrees_of_freedom():
    model = Tiny(TinyConfig(dim=4, hidden=3), VOCAB)
    assert count_parameters(model).embedding == VOCAB * 4                    # tied, so once
    assert count_parameters(model).non_embedding == 4 * 4 + 2 * 4 * 3
    model.spectrum = nn.Parameter(torch.zeros(5, dtype=torch.complex64))
    assert count_parameters(model).total == VOCAB * 4 + 4 * 4 + 2 * 4 * 3 + 2 * 5


@pytest.mark.parametrize("target", [200, 1_000, 12_345, 1_000_000])
def test_matching_solves_the_width_then_the_hidden_size(target):
    match = match_parameters(TINY, TinyConfig(), set(), VOCAB, target)
    dim, hidden = match.config.dim, match.config.hidden
    assert match.count.non_embedding == dim * dim + 2 * dim * hidden
    assert abs(match.count.non_embedding - target) <= dim                    # one hidden unit is 2 dim
    assert abs(5 * dim * dim - target) <= min(abs(5 * d * d - target) for d in (dim - 1, dim + 1))


def test_matching_leaves_what_the_user_fixed():
    match = match_parameters(TINY, TinyConfig(dim=10), {"dim"}, VOCAB, 1_000)
    assert match.config == TinyConfig(dim=10, hidden=45)
    match = match_parameters(TINY, TinyConfig(hidden=7), {"hidden"}, VOCAB, 1_000)
    assert match.config == TinyConfig(dim=25, hidden=7)                      # 25² + 350; 26 gives 1040


def test_matching_says_what_it_cannot_reach():
    match = match_parameters(COARSE, CoarseConfig(), set(), VOCAB, 11_000)
    assert match.config.width == 128 and match.note == "nearest reachable to 11000 parameters is 16384 (+48.9%)"
    assert match_parameters(COARSE, CoarseConfig(), set(), VOCAB, 16_500).note == ""
    with pytest.raises(UsageError, match="no dim or width"):
        match_parameters(spec(Tiny, ShapelessConfig), ShapelessConfig(), set(), VOCAB, 1_000)
    fixed = match_parameters(TINY, TinyConfig(dim=40), {"dim"}, VOCAB, 1_000)
    assert fixed.config.hidden == 1 and "nearest reachable" in fixed.note


@pytest.mark.parametrize("plugin", ["baseline", "ssm", "phasefield"])
@pytest.mark.parametrize("target", [100_000, 300_000, 1_000_000, 8_000_000])
def test_models_reach_a_parameter_budget(plugin, target):
    model_spec = import_module(f"harness.plugins.{plugin}").harness_models()[0]
    match = match_parameters(model_spec, make_config(model_spec, {}), set(), 257, target)
    assert abs(match.error) <= match.TOLERANCE and match.note == ""


def test_build_is_reproducible_and_matches_only_without_a_preset():
    one, two, other = (build(TINY, {}, VOCAB, params=1_000, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(one.model.mix.weight, two.model.mix.weight)
    assert not torch.equal(one.model.mix.weight, other.model.mix.weight)
    assert build(TINY, {}, VOCAB, params=1_000, preset="small").config.dim == 16


def test_configs_come_from_defaults_then_preset_then_options():
    assert make_config(TINY, {}) == TinyConfig()
    assert make_config(TINY, {"dim": "64", "hidden": "none"}, "large") == TinyConfig(dim=64, shift=1)


@pytest.mark.parametrize(("options", "preset", "words"), [
    ({"dmi": "8"}, "", "unknown option of tiny 'dmi'; did you mean 'dim'"),
    ({"dim": "wide"}, "", "dim='wide' of tiny must be an integer"),
    ({"shift": "-1"}, "", "tiny.*: shift must not be negative"),
    ({}, "lagre", "unknown size of tiny 'lagre'; did you mean 'large'"),
])
def test_a_wrong_config_is_one_clear_line(options, preset, words):
    with pytest.raises(UsageError, match=words):
        make_config(TINY, options, preset)


class LastTwo(TokenHistory):
    """Logits that name the sum of the last two tokens."""

    def logits(self, tokens):
        before = torch.cat([torch.zeros_like(tokens[:, :1]), tokens[:, :-1]], dim=1)
        return nn.functional.one_hot((tokens + before) % self.vocab_size, self.vocab_size).float()


def test_a_history_of_tokens_is_a_state():
    model, tokens = LastTwo(None, VOCAB), torch.randint(VOCAB, (2, 9))
    whole, state = model(tokens)
    assert torch.equal(state, tokens)
    for cut in range(1, 9):
        first, past = model(tokens[:, :cut])
        second, _ = model(tokens[:, cut:], past)
        assert torch.equal(torch.cat([first, second], dim=1), whole)


class Inner(nn.Module):
    """A model of another library: it names its output map, or only calls it `lm_head`."""

    def __init__(self, name):
        super().__init__()
        self.name, self.embed = name, nn.Embedding(VOCAB, 6)
        setattr(self, name, nn.Linear(6, VOCAB))

    def forward(self, tokens):
        return getattr(self, self.name)(self.embed(tokens))


class Told(Inner):
    def get_output_embeddings(self):
        return getattr(self, self.name)


class Around(LanguageModel):
    def __init__(self, *inner):
        super().__init__(None, VOCAB)
        self.inner = nn.ModuleList(inner)

    def forward(self, tokens, state=None):
        return self.inner[0](tokens), None


@pytest.mark.parametrize("inner", [Inner("head"), Inner("lm_head"), Inner("decoder_lm_head"), Told("embed_out")])
def test_hidden_states_are_what_the_one_output_map_reads(inner):
    tokens = torch.randint(VOCAB, (2, 5))
    hidden, _ = Around(inner).hidden_states(tokens)
    assert torch.equal(hidden, inner.embed(tokens)) and not getattr(inner, inner.name)._forward_pre_hooks


@pytest.mark.parametrize(("inner", "words"), [
    ([Inner("out")], "Around has no modules called head, names no other output map"),
    ([Inner("lm_head"), Inner("lm_head")], "Around has no modules called head"),
    ([Inner("head"), Inner("head")], "Around has 2 modules called head"),
    ([Told("out"), Told("out")], "Around has no modules called head"),
])
def test_which_output_map_is_meant_is_not_guessed(inner, words):
    with pytest.raises(Unsupported, match=words):
        Around(*inner).hidden_states(torch.zeros(1, 3, dtype=torch.int64))


class Pair(NamedTuple):
    keys: torch.Tensor
    values: torch.Tensor


def test_a_copied_state_is_the_same_nest_and_shares_no_memory():
    def nest():
        return {"length": 3, "layers": [(torch.ones(2), None), Pair(torch.ones(1, 2), torch.arange(2))], 0: {}}

    def written(part):
        for one in part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ():
            written(one)
        if isinstance(part, torch.Tensor):
            part.add_(1)

    state = nest()
    copy = copied_state(state)
    written(copy)
    copy["layers"].append("more")
    assert repr(state) == repr(nest()) != repr(copy)
    del copy["layers"][-1]
    written(state)
    assert repr(copy) == repr(state)                        # which tells the type of every part
    assert copied_state(None) is None


def test_state_bytes_are_those_of_its_distinct_tensors_and_numbers():
    shared = torch.zeros(3, 5)
    state = {"a": [shared, None], "b": (shared, torch.zeros(2, dtype=torch.bfloat16)), "n": [7, 7], "x": 0.5}
    assert state_bytes(state) == 3 * 5 * 4 + 2 * 2 + 3 * 8
    assert state_bytes(None) == 0


def test_a_state_is_as_large_as_it_is_when_written_down():
    """What a view shows, a text inside one integer, a key that is a number."""
    assert state_bytes(torch.zeros(1000, 8)[10:12, ::2]) == 2 * 4 * 4
    assert state_bytes(torch.zeros(1).expand(50)) == 50 * 4
    text = bytes(range(1, 101)) * 2
    assert state_bytes((int.from_bytes(text, "big"),)) == 200
    assert state_bytes([{1 << 800: torch.zeros(2)}, {"name": 3}, {(5, 6): 0}]) == 101 + 8 + 8 + 3 * 8


@pytest.mark.parametrize("form", [
    [()] * 300, [None] * 300, [{}] * 300, [torch.zeros(2)] * 300, [torch.zeros(0, n) for n in range(20)],
    [((), ()), ((),) * 298],
])
def test_a_state_hides_nothing_in_its_form(form):
    """Numbers of empty parts, of occurrences and shapes without numbers tell as much as what is written out."""
    assert state_bytes(form) >= 298
    assert state_bytes((torch.zeros(3), ())) == 12


def test_a_name_in_a_state_is_short():
    assert state_bytes({"n" * 32: 1}) == 8
    with pytest.raises(AuditFailed, match="the state holds a str"):
        state_bytes({"n" * 33: 1})


@pytest.mark.parametrize("hidden", ["text", b"text", object(), {1, 2}, np.zeros(3)])
def test_a_state_of_anything_else_breaks_the_contract(hidden):
    with pytest.raises(AuditFailed, match=f"the state holds a {type(hidden).__name__}"):
        state_bytes({"a": torch.zeros(3), "b": [hidden]})


def test_a_tensor_carries_nothing_beside_its_numbers():
    state = torch.zeros(3)
    state.more = torch.zeros(1000)
    with pytest.raises(AuditFailed, match="plain tensors"):
        state_bytes([state])
