"""A plugin's own knob: tried with as many trials as everybody's, used by the score, told in its rows."""

from dataclasses import replace

import pytest
from harness.plugins.baseline import harness_models

from harness import ModelSpec, load_results
from harness.checkpoint import open_checkpoint
from harness.conformance.option_checks import check_options
from harness.conformance.result import CheckFailed
from harness.errors import PluginError, UsageError
from harness.options import make_config
from harness.registry import load
from harness.run.cells import Choice
from harness.run.choices import check_options as check_selected
from harness.run.choices import choose
from harness.selector import Selector, options_in
from harness.sizing import count_on_meta
from harness.specs import missing
from harness.store import Store

SPEC = harness_models()[0]
PLUGIN = '''
from dataclasses import dataclass

import torch
from torch import nn

from harness import LanguageModel, ModelSpec, hookimpl


@dataclass(frozen=True)
class Config:
    dim: int = 8
    blind: bool = True
    wide: bool = False


class Bigram(LanguageModel):
    """Predicts from the last token, or blind: from none."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.embed, self.head = nn.Embedding(vocab_size, config.dim), nn.Linear(config.dim, vocab_size)
        self.mix = nn.Linear(config.dim, config.dim * (4 if config.wide else 1))

    def forward(self, tokens, state=None):
        x = self.embed(tokens * 0 if self.config.blind else tokens)
        return self.head(x + self.mix(x).unflatten(-1, (-1, x.shape[-1])).sum(-2).tanh()), ()


@hookimpl
def harness_models():
    return [ModelSpec(name="bigram", target=f"{__name__}:Bigram", config=f"{__name__}:Config", family="classical",
                      summary="a bigram", source="the tests",
                      tunable=("blind=false", "wide=true", "blind=false:wide=true"))]
'''


@pytest.fixture(scope="module")
def out(command, tmp_path_factory):
    """A run in which the knob decides everything, and one in which the user has set it."""
    folder = tmp_path_factory.mktemp("tunable")
    (folder / "bigram.py").write_text(PLUGIN)
    done = command("run", "-p", folder / "bigram.py", "--suite", "perplexity", "--plugins", "bigram,bigram:blind=true",
                   "--params", "2k", "--budget", "20k", "--seq-len", "32", "--batch-size", "16", "--corpus", "markov",
                   "--out", folder / "out")
    assert done.returncode == 0, done.stderr + done.stdout
    return folder / "out"


def searches(out):
    return {result.label: result for result in Store(out, create=False).results()
            if result.cell["protocol"].get("role") == "search"}


def test_the_choice_that_wins_is_scored_and_told(out):
    assert searches(out)["bigram"].raw["choice"].startswith("blind=false")
    table = load_results(out)
    scores = table[(table["phase"] == "score") & (table["options"].fillna("") == "")]
    assert len(scores) and scores["reason"].str.contains("tuned: blind=false").all()
    bits = table[table["metric"] == "bits_per_byte"].fillna({"options": ""}).set_index("options")["value"]
    assert bits[""] < bits["blind=true"] - 0.1


def test_the_weights_that_are_kept_are_those_of_the_choice(out):
    table = load_results(out)
    (score,) = table[(table["metric"] == "bits_per_byte") & (table["options"].fillna("") == "")].to_dict("records")
    options = open_checkpoint(str(out / "weights" / score["cell_id"])).config.model
    assert options["blind"] == "false"
    assert score["params"] == pytest.approx(2000, rel=0.05)


def test_every_form_has_as_many_trials_and_what_the_user_set_stays(out):
    found = searches(out)
    assert {len(result.raw["trials"]) for result in found.values()} == {10}
    tried = {label: {trial[0] for trial in result.raw["trials"]} for label, result in found.items()}
    assert tried == {"bigram": {"", "blind=false", "wide=true", "blind=false:wide=true"},
                     "bigram:blind=true": {"", "wide=true"}}


def spec(*tunable):
    return ModelSpec("m", "a:B", "a:C", "classical", "", "", tunable=tunable)


@pytest.mark.parametrize(("tunable", "reason"), [
    (("",), "none of them empty"), (("a=1",) * 4, "at most 3"), (("a",), "malformed option"),
])
def test_what_is_no_set_of_options_is_refused(tunable, reason):
    with pytest.raises(PluginError, match=reason):
        spec(*tunable)


def test_variants_leave_alone_what_is_set():
    choice = Choice(spec("a=1", "a=2:b=1", "b=2"), Selector("m"))
    assert choice.variants({}) == ("", "a=1", "a=2:b=1", "b=2")
    assert choice.variants({"a": "3"}) == ("", "b=2")
    assert choice.variants({"as_published": "true"}) == ("",)
    assert choice.variants({"as_published": "false"}) == choice.variants({})


DEPENDENT = '''
from dataclasses import dataclass

from harness import ModelSpec, hookimpl


@dataclass(frozen=True)
class Config:
    dim: int = 8
    memory: bool = True
    window: int | None = None

    def __post_init__(self):
        if self.window is not None and not self.memory:
            raise ValueError(f"window={self.window} needs memory=true")


@hookimpl
def harness_models():
    return [ModelSpec("dependent", f"{__name__}:None", f"{__name__}:Config", "classical", "a memory", "the tests",
                      tunable=("window=4", "dim=4"))]
'''


def test_a_set_that_does_not_go_with_what_is_written_is_not_tried(tmp_path):
    (tmp_path / "dependent.py").write_text(DEPENDENT)
    registry = load([tmp_path / "dependent.py"])
    plain, without = choose(registry, ["dependent", "dependent:memory=false"])
    assert plain.variants({}) == ("", "window=4", "dim=4")
    assert without.variants({"memory": "false"}) == ("", "dim=4")
    (both,) = choose(registry, ["dependent:memory=false:window=4"])
    with pytest.raises(UsageError, match=r"^dependent refuses these options: window=4 needs memory=true$"):
        check_selected([both], "")


@pytest.mark.parametrize("name", [name for name, spec in load().models.items() if spec.tunable and not missing(spec)])
def test_what_the_plugins_name_can_be_built(name):
    spec = load().models[name]
    for text in spec.tunable:
        count_on_meta(spec, make_config(spec, options_in(text)), 257)


def test_the_conformance_kit_tries_every_set():
    check_options(replace(SPEC, tunable=("conv=4", "conv=2:heads=2")), 257)
    for text in ("no_such=1", "heads=5"):
        with pytest.raises(CheckFailed, match=f"tunable names {text}, which is refused"):
            check_options(replace(SPEC, tunable=("conv=4", text)), 257)
