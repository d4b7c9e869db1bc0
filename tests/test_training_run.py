"""A training run: resumed it is the run that was never stopped; its schedule, its validation and what it keeps."""

import itertools
import math
import random

import pytest
import torch
from safetensors.torch import load_file

from harness.bench import training_run as module
from harness.bench.distributed import Ranks
from harness.bench.training_run import VALIDATIONS, Budget, TrainingRun, split_validation
from harness.bench.weights import model_tensors
from harness.checkpoint import BEST, LAST, open_checkpoint, read_config
from harness.data import tokenizers
from harness.data.documents import Documents
from harness.errors import FileError, HarnessError, UsageError
from harness.registry import load
from harness.run.flags import TrainOptions
from harness.run.training import make_job, new_directory, resumed

SMALL = "ssm:layers=1:hidden=16:dropout=0.2"
NEVER = lambda: False                   # noqa: E731
LOCAL = """
import torch
from dataclasses import dataclass
from torch import nn
from harness import LanguageModel, ModelSpec, hookimpl

@dataclass(frozen=True)
class Config:
    PRESETS = {"only": {}}

class Frequencies(LanguageModel):
    '''Learns how often each token comes, by moving its biases towards what it sees.'''

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, tokens, state=None):
        return self.bias.expand(*tokens.shape, -1), None

    def local_update(self, inputs, targets, lr):
        assert not torch.is_grad_enabled()
        seen = torch.bincount(targets.flatten(), minlength=self.vocab_size) / targets.numel()
        predicted = self.bias.softmax(0)
        self.bias += lr * (seen - predicted)
        return -(seen * predicted.log()).sum()

@hookimpl
def harness_models():
    return [ModelSpec("frequencies", f"{__name__}:Frequencies", f"{__name__}:Config", "classical", "", "")]
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A file of 30 kB in forty documents."""
    draw = random.Random(0)
    words = ["alpha", "beta", "gamma", "delta", "of", "the", "and"]
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text("\n\n".join(" ".join(draw.choices(words, k=130)) for _ in range(40)))
    return path


@pytest.fixture
def make(text, tmp_path):
    """A function that makes a run in its own directory, and the events it will tell."""
    registry = load()

    def run(name="run", registry=registry, **flags):
        given = {"plugin": SMALL, "corpus": f"file:{text}", "params": "2k", "seq_len": 16, "batch_size": 8,
                 "dtype": "float32", "device": "cpu", "bytes": "4k", "lr": 0.01}
        job = make_job(registry, TrainOptions(**given | flags))
        new_directory(tmp_path / name)
        events = []
        made = TrainingRun(job, tmp_path / name, Ranks(), [events.append])
        made.begin()
        return made, events

    return run


def resume(run):
    job, config = resumed(load(), run.directory, {})
    events = []
    again = TrainingRun(job, run.directory, Ranks(), [events.append])
    again.resume(config)
    return again, events


def after(steps):
    """A stop that is asked for at the given step."""
    calls = itertools.count(1)
    return lambda: next(calls) >= steps


@pytest.mark.parametrize("stops", [[1], [3, 5, 4], [10]])
def test_a_resumed_run_is_the_run_that_was_never_stopped(make, stops):
    whole, events = make("whole")
    assert whole.run(NEVER) == "finished"
    parted, _ = make("parted")
    found = []
    for steps in stops:
        assert parted.run(after(steps)) == "interrupted"
        torch.rand(17)                                      # what the process draws in between does not matter
        parted, _ = resume(parted)
    assert parted.position.step == sum(stops)
    parted.listeners = [found.append]
    assert parted.run(NEVER) == "finished"
    for name in (BEST, LAST):
        one, other = (load_file(run.directory / name) for run in (whole, parted))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name
    assert found[-1]["best"] == events[-1]["best"]
    assert whole.position.share == parted.position.share == 1
    last = [event for event in events if event["event"] == "train"][-1]
    assert last["lr"] == [event for event in found if event["event"] == "train"][-1]["lr"]


def test_a_tokenizer_learns_from_what_is_trained_on_and_a_resumed_run_keeps_it(make, monkeypatch):
    texts = []
    monkeypatch.setattr(module, "learn", lambda spec, selector, documents: (
        texts.append(documents), tokenizers.learn(spec, selector, documents))[1])
    run, _ = make(tokenizer="morphological:roots=5")
    assert texts == [split_validation(run.documents.train)[0]]
    assert len(run.learned["roots"]) == 5
    assert run.config.tokenizer == "morphological:roots=5"
    assert run.config.vocab_size == run.tokenizer.vocab_size == run.model.vocab_size
    run.run(after(3))
    again, _ = resume(run)
    assert len(texts) == 1                                  # a resumed run learns nothing
    assert again.learned == run.learned
    assert again.run(NEVER) == "finished"
    assert again.config == run.config == read_config(run.directory)


def test_a_finished_run_has_nothing_left_to_do(make):
    run, _ = make(bytes="500")
    run.run(NEVER)
    again, events = resume(run)
    assert again.position.share == 1
    assert again.run(NEVER) == "finished"
    assert [event["event"] for event in events] == ["start", "end"]


@pytest.mark.parametrize("flags", [{"bytes": "4k"}, {"bytes": "", "epochs": 0.2}, {"bytes": "", "minutes": 0.01},
                                   {"bytes": "1G", "minutes": 0.01}])
def test_the_cosine_ends_with_the_run(make, flags, monkeypatch):
    if "minutes" in flags:
        clock = itertools.count(0, 0.005)                   # each look at the clock takes 5 ms
        monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(clock)))
    run, _ = make(**flags)
    rates = []
    set_lr = run.step.set_lr
    run.step.set_lr = lambda lr: (rates.append(lr), set_lr(lr))
    assert run.run(NEVER) == "finished"
    assert rates[-1] == pytest.approx(0.05 * 0.01)
    assert max(rates) == pytest.approx(0.01, rel=0.05)
    assert rates.index(max(rates)) == pytest.approx(0.1 * len(rates), abs=3)
    if "epochs" in flags:
        train = sum(map(len, split_validation(run.documents.train)[0]))
        assert run.position.bytes_seen == pytest.approx(0.2 * train, abs=16 * 8)
    if "minutes" in flags:
        assert run.position.seconds == pytest.approx(0.6, abs=0.05)


def test_a_budget_is_over_when_its_first_limit_is_reached():
    assert Budget(100, 0).share(50, 1e9) == 0.5
    assert Budget(100, 10).share(50, 9) == 0.9
    assert Budget(0, 10).share(10**9, 20) == 1
    assert [Budget(*limits).left(25, 3) for limits in ((100, 0), (0, 10), (100, 10), (100, 5))] == [9, 7, 7, 2]
    assert Budget(100, 2).left(120, 3) == 0


def test_parts_of_a_batch_give_the_weights_of_the_whole(make):
    plugin = SMALL.replace("0.2", "0.0")
    whole, parts = make("whole", plugin=plugin)[0], make("parts", plugin=plugin, accumulate=4)[0]
    sizes = []
    whole.run(NEVER)
    backward = parts.step.backward
    parts.step.backward = lambda inputs, targets: (sizes.append(len(inputs)), backward(inputs, targets))[1]
    parts.run(NEVER)
    assert sizes == [2] * (4 * parts.position.step)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_best_holds_the_weights_of_the_lowest_validation(make, monkeypatch):
    run, events = make()
    scores, weights = iter([5.0, 4.0, 6.0, 3.0, 3.5, 9.0, 3.0, 8.0, 7.0, 4.0]), []

    class Scored:
        def __init__(self, model, *_, **__):
            weights.append([p.detach().clone() for p in model.parameters()])
            self.bits_per_byte = next(scores)

    monkeypatch.setattr(module, "score", Scored)
    run.run(NEVER)
    assert len(weights) == VALIDATIONS
    assert [event["best"] for event in events if event["event"] == "validation"] == [
        True, True, False, True, *[False] * 6]
    checkpoint = open_checkpoint(str(run.directory))
    assert checkpoint.metadata["bits_per_byte"] == "3.0"
    stored = load_file(checkpoint.weights)
    names = [name for name, _ in run.model.named_parameters()]
    assert all(torch.equal(stored[f"model.{name}"], weights[3][i]) for i, name in enumerate(names))
    assert not all(torch.equal(stored[f"model.{name}"], weights[4][i]) for i, name in enumerate(names))


def test_validation_takes_no_text_that_is_scored_or_trained_on(make):
    run, _ = make()
    train, validation = split_validation(run.documents.train)
    assert sorted(train + validation) == sorted(run.documents.train)
    assert not set(validation) & set(run.documents.heldout)
    assert 0.05 < sum(map(len, validation)) / sum(map(len, run.documents.train)) < 0.2
    assert split_validation([b"0123456789" * 10]) == ([b"0123456789" * 9], [b"0123456789"])


def test_validation_is_the_score_of_these_weights_and_leaves_the_random_state_alone(make):
    run, events = make()
    before = torch.get_rng_state()
    run._validate()
    assert torch.equal(torch.get_rng_state(), before)
    run.model.eval()
    bits = count = 0
    for document in run.validation:
        tokens = torch.tensor([run.tokenizer.bos, *document])
        for start in range(0, len(document), 16):
            piece = tokens[start:start + 17]
            logits, _ = run.model(piece[None, :-1])
            bits += torch.nn.functional.cross_entropy(logits[0], piece[1:], reduction="sum").item() / math.log(2)
            count += len(piece) - 1
    assert events[-2]["bits_per_byte"] == pytest.approx(bits / count, rel=1e-5)


def test_a_run_that_diverges_stops_and_keeps_what_it_had(make):
    run, _ = make()
    assert run.run(after(6)) == "interrupted"
    kept = load_file(run.directory / LAST)
    again, told = resume(run)
    again.step = lambda *_: torch.tensor(math.nan)
    again.step.set_lr, again.step.recipe = (lambda lr: None), run.step.recipe
    assert again.run(NEVER) == "diverged"
    assert told[-1]["outcome"] == "diverged"
    now = load_file(run.directory / LAST)
    assert all(torch.equal(kept[name], now[name]) for name in kept)


def test_a_local_rule_learns_without_a_backward_pass(make, plugin, monkeypatch):
    registry = load([plugin("frequencies.py", LOCAL)])
    run, events = make(plugin="frequencies", size="only", registry=registry, lr=100.0, bytes="20k", rule="local")

    def refuse(*_, **__):
        raise AssertionError("a backward pass ran")

    monkeypatch.setattr(torch.Tensor, "backward", refuse)
    monkeypatch.setattr(torch.autograd, "grad", refuse)
    assert run.run(NEVER) == "finished"
    joined = b"".join(run.validation)
    entropy = -sum(c / len(joined) * math.log2(c / len(joined)) for c in (joined.count(b) for b in set(joined)))
    assert [e["bits_per_byte"] for e in events if e["event"] == "validation"][-1] == pytest.approx(entropy, abs=0.1)
    again = TrainingRun(run.job, run.directory, Ranks())
    again.resume(read_config(run.directory))
    assert torch.equal(again.model.bias, run.model.bias)


def test_a_model_without_a_local_rule_says_so(make):
    with pytest.raises(UsageError, match="StateSpace has no local learning rule"):
        make(rule="local")


@pytest.mark.parametrize(("fault", "reason"), [("shape", "breaks the contract.*shape"), ("raise", "no more")])
def test_a_model_that_breaks_the_contract_is_told_before_training(make, toy, fault, reason):
    with pytest.raises(HarnessError, match=reason):
        make(plugin=f"toy:fault={fault}", registry=load([toy]))


def test_text_or_processes_that_changed_are_told(make, text):
    run, _ = make()
    run.run(after(3))
    job, config = resumed(load(), run.directory, {})
    changed = TrainingRun(job, run.directory, Ranks())
    changed.documents = Documents("words", (b"other",), (b"text",))
    with pytest.raises(UsageError, match=r"is not what .* was trained on"):
        changed.resume(config)
    with pytest.raises(UsageError, match="runs on 1 processes, not 2"):
        TrainingRun(job, run.directory, Ranks(0, 2)).resume(config)
    with pytest.raises(UsageError, match="not a multiple of 3 processes"):
        TrainingRun(job, run.directory, Ranks(0, 3))


def test_weights_alone_are_nothing_to_go_on_from(make):
    run, _ = make()
    run.run(NEVER)
    (run.directory / LAST).write_bytes((run.directory / BEST).read_bytes())
    with pytest.raises(FileError, match="holds weights alone"):
        resume(run)


def test_a_source_that_changed_is_noted(make, monkeypatch):
    run, _ = make()
    run.run(after(2))
    monkeypatch.setattr(module, "model_digest", lambda registry, spec, options: "edited")
    again, events = resume(run)
    again.run(after(1))
    assert "source of ssm has changed" in events[0]["note"]


def lengthened(run, **given):
    job, config = resumed(load(), run.directory, given)
    events = []
    again = TrainingRun(job, run.directory, Ranks(), [events.append])
    again.resume(config)
    return again, events


@pytest.mark.parametrize("given", [{"bytes": "8k"}, {"epochs": 3.0}], ids=str)
@pytest.mark.parametrize("steps", [1000, 5], ids=["finished", "stopped"])
def test_a_run_goes_on_with_a_larger_budget(make, given, steps):
    """From its newest weights, at the rate that the larger budget's schedule has there."""
    run, _ = make()
    run.run(after(steps))
    before = load_file(run.directory / LAST)
    again, events = lengthened(run, **given)
    assert again.position.step == run.position.step
    assert all(torch.equal(before[name], value) for name, value in model_tensors(again.model).items())
    whole = 8000 if "bytes" in given else 3 * sum(map(len, split_validation(again.documents.train)[0]))
    assert again.position.share == pytest.approx(run.position.bytes_seen / whole)
    assert again.run(NEVER) == "finished"
    assert again.position.bytes_seen >= whole > run.position.bytes_seen
    assert "a larger budget" in events[0]["note"]
    first, last = ([event for event in events if event["event"] == "train"][place] for place in (0, -1))
    assert first["lr"] == pytest.approx(0.01 * again.step.recipe.scale(first["share"]))
    assert last["lr"] < first["lr"]
    assert again.config.train["bytes"] == given.get("bytes", "")


@pytest.mark.parametrize(("given", "words"), [
    ({"bytes": "2k"}, "runs with --bytes 4000; it goes on with more than that, not with 2000"),
    ({"epochs": 0.001}, "has used up that budget"), ({"lr": 0.5}, "a run keeps its flags"),
])
def test_a_smaller_budget_is_refused(make, given, words):
    run, _ = make()
    run.run(NEVER)
    with pytest.raises(UsageError, match=words):
        lengthened(run, **given)


def test_the_budget_that_a_run_has_is_no_larger_one(make):
    run, _ = make()
    run.run(NEVER)
    again, _ = lengthened(run, bytes="4k")
    assert again.position.share == 1
