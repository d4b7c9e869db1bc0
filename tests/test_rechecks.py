"""Looks at timed calls: a model that does less, or other, where it is timed is found out; an honest one never is."""

import pytest
import torch
from torch import nn

from harness import LanguageModel
from harness.bench.continuation import beginning
from harness.bench.measure import Clock
from harness.bench.rechecks import InferenceCheck, TrainingCheck
from harness.bench.rounds import Inputs, Rounds
from harness.bench.train import TrainStep, autocast
from harness.data.batches import uniform_tokens
from harness.errors import AuditFailed

VOCAB, DIM, T = 65, 24, 48
CALLS = []                                                      # what a module remembers of all its instances


class Honest(LanguageModel):
    """Two layers of h_t = a h_(t-1) + x_t, whose last h are the state. Cheats leave the second layer out."""

    def __init__(self):
        super().__init__(None, VOCAB)
        torch.manual_seed(3)
        self.embed, self.head = nn.Embedding(VOCAB, DIM), nn.Linear(DIM, VOCAB)
        self.layers = nn.ModuleList(nn.Linear(DIM, DIM) for _ in range(2))
        self.calls = 0

    def forward(self, tokens, state=None):
        self.calls += 1
        CALLS.append(tokens.shape)
        x, after = self.embed(tokens), []
        for index, layer in enumerate(self.layers):
            h = x.new_zeros(len(x), DIM) if state is None else state[index]
            if index and self.lazy(tokens):
                after.append(h)
                continue
            steps = []
            for e in layer(x).tanh().unbind(1):
                h = 0.7 * h + e
                steps.append(h)
            x = x + torch.stack(steps, dim=1)
            after.append(h)
        return self.head(self.last(x)), tuple(after)

    def lazy(self, tokens):
        return False

    def last(self, x):
        return x


class RemembersByShape(Honest):
    """The logits of the first text of a shape, for every other of it."""

    def forward(self, tokens, state=None):
        known = self.__dict__.setdefault("known", {})
        if tokens.shape not in known:
            known[tokens.shape] = tuple(t.detach() if torch.is_tensor(t) else t for t in super().forward(tokens, state))
        return known[tokens.shape]


class LazyWithoutGraph(Honest):
    def lazy(self, tokens):
        return not torch.is_grad_enabled()


class LazyInInference(Honest):
    def lazy(self, tokens):
        return torch.is_inference_mode_enabled()


class LazyInBfloat16(Honest):
    def lazy(self, tokens):
        return torch.is_autocast_enabled("cpu")


class LazyInLargeBatches(Honest):
    def lazy(self, tokens):
        return torch.is_autocast_enabled("cpu") and len(tokens) > 1


class LazyAfterSomeCalls(Honest):
    def lazy(self, tokens):
        return self.calls > 5


class LazyAfterSomeCallsOfAny(Honest):
    def lazy(self, tokens):
        return len(CALLS) > 5


class LazyInTraining(Honest):
    def lazy(self, tokens):
        return self.training and torch.is_autocast_enabled("cpu")


class HalfAGradient(Honest):
    """After a while no gradient goes back beyond the head."""

    def last(self, x):
        return x.detach() if self.training and self.calls > 5 else x


class StepsInForward(Honest):
    def forward(self, tokens, state=None):
        if self.training:
            with torch.no_grad():
                self.head.bias.mul_(0.99)
        return super().forward(tokens, state)


class Dropping(Honest):
    def last(self, x):
        return nn.functional.dropout(x, 0.3, self.training)


class Counting(Honest):
    """Training moves a buffer that matters."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(DIM))

    def last(self, x):
        if self.training:
            self.scale = 0.9 * self.scale + 0.1 * x.detach().abs().mean((0, 1))
        return x * self.scale


class Scheduled(Honest):
    """Training is another function from its third step on, and a buffer counts the steps."""

    def __init__(self):
        super().__init__()
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def last(self, x):
        if not self.training:
            return x
        self.step += 1
        return x.tanh() if self.step > 3 else x


class ScheduledInSecret(Scheduled):
    """The same with a plain number, which nobody can bring back."""

    def __init__(self):
        super().__init__()
        del self.step
        self.step = 0


class Steep(Honest):
    """The rounding of products decides a part of every logit."""

    def last(self, x):
        return x + torch.sin(3000 * x)


class ForgetsAtCuts(Honest):
    """An honest mistake that the audit finds: the clock has nothing to say about it."""

    def forward(self, tokens, state=None):
        return super().forward(tokens, None)


class WritesIntoItsState(Honest):
    """`forward` leaves a state alone, `advance` does not."""

    def advance(self, tokens, state):
        logits, after = self(tokens, state)
        for held, now in zip(state, after, strict=True):
            held.copy_(now)
        return logits, state


class LazyInAdvance(Honest):
    def advance(self, tokens, state):
        return self(tokens * 0, state)


class NeverTheSame(Honest):
    """What it was called with before changes what comes out."""

    def last(self, x):
        return x + 0.3 * torch.sin(torch.tensor(float(self.calls))) * x.roll(1, -1)


def inference(model, dtype="bfloat16", decode=False):
    """What rounds of prefill, or of four steps behind a prefix, come to."""
    model.eval()
    prefix = uniform_tokens(VOCAB, 1, T, 9) if decode else None

    def call(given):
        with torch.inference_mode(), autocast("cpu", dtype):
            if not decode:
                return model(given)[0]
            tokens, (state,) = given
            read = []
            for token in tokens.split(1, dim=1):
                logits, state = model.advance(token, state)
                read.append(logits)
            return read

    def draw(number):
        tokens = uniform_tokens(VOCAB, *shape, number)
        return (tokens, iter([beginning(model, context)])) if decode else tokens

    if decode:
        with torch.inference_mode(), autocast("cpu", dtype):
            context = model(prefix)[1]
    shape = (1, 4) if decode else (3, T)
    check = InferenceCheck(model, dtype, T, prefix)
    CALLS.clear()
    Rounds(Clock(), inputs=Inputs(draw, 5), check=check).run(call, 6)
    return check.note


def training(model, dtype="bfloat16"):
    step = TrainStep(model.train(), lr=1e-3, dtype=dtype)
    check = TrainingCheck(step, dtype, T)

    def draw(number):
        tokens = uniform_tokens(VOCAB, 3, T + 1, number)
        return tokens[:, :-1], tokens[:, 1:]

    CALLS.clear()
    Rounds(Clock(), inputs=Inputs(draw, 5), check=check).run(lambda pair: step(*pair), 6)
    return check.note


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", [Honest, Dropping, Counting, Scheduled, Steep])
def test_an_honest_model_passes(model, dtype):
    notes = [inference(model(), dtype), inference(model(), dtype, decode=True), training(model(), dtype)]
    assert notes == [""] * 3


def test_a_model_may_write_into_a_state_that_is_used_once():
    """Each call begins with a copy of the context; without it the second would go on behind the first."""
    assert inference(WritesIntoItsState(), decode=True) == ""
    with pytest.raises(AuditFailed, match="the timed logits are"):
        inference(LazyInAdvance(), decode=True)


@pytest.mark.parametrize("model", [LazyWithoutGraph, LazyInInference, LazyInBfloat16, LazyInLargeBatches])
def test_less_work_in_prefill_is_found(model):
    with pytest.raises(AuditFailed, match=r"round \d, 3 x 48 tokens: the timed logits are 0\.\d+ std from those of"):
        inference(model())


def test_logits_that_are_remembered_are_found():
    with pytest.raises(AuditFailed, match=r"round \d, 3 x 48 tokens: another text of that shape gives the same logits"):
        inference(RemembersByShape())


@pytest.mark.parametrize("model", [LazyWithoutGraph, LazyInInference, LazyInBfloat16])
def test_less_work_in_decoding_is_found(model):
    with pytest.raises(AuditFailed, match=r"round \d, 1 x 4 tokens: the timed logits are"):
        inference(model(), decode=True)


@pytest.mark.parametrize("model", [LazyAfterSomeCalls, LazyAfterSomeCallsOfAny])
def test_less_work_after_some_calls_is_found(model):
    with pytest.raises(AuditFailed, match=r"behind its timed rounds the same weights give logits that are"):
        inference(model())
    with pytest.raises(AuditFailed, match=r"the same weights give|of the same step by a copy"):
        training(model())


@pytest.mark.parametrize(("model", "words"), [
    (LazyInBfloat16, "of the function that is scored"), (LazyInTraining, "of the function that is scored"),
    (LazyAfterSomeCalls, "of the same step by a copy of the model"),
    (ScheduledInSecret, "of the same step by a copy .* what training counts belongs into a buffer"),
    (HalfAGradient, r"the timed gradient is off by \d+%")])
def test_less_work_in_training_is_found(model, words):
    with pytest.raises(AuditFailed, match=words):
        training(model())


def test_what_the_audit_judges_is_told_and_no_failure_of_the_clock():
    assert "alone, cut at" in inference(ForgetsAtCuts())
    assert "alone, cut at" in inference(ForgetsAtCuts(), decode=True)
    assert "gives other logits every time" in inference(NeverTheSame())
    assert "gives other logits every time" in training(NeverTheSame())
    assert "parameters move within the forward and backward pass of a step: head.bias" in training(StepsInForward())


def test_the_model_is_left_as_the_last_step_left_it():
    model = Honest()
    step = TrainStep(model.train(), lr=1e-2)
    check = TrainingCheck(step, "float32", T)
    tokens = [uniform_tokens(VOCAB, 3, T + 1, n) for n in range(4)]
    check.begin()
    for index, t in enumerate(tokens):
        check.arm()
        check.take(index, (t[:, :-1], t[:, 1:]), step(t[:, :-1], t[:, 1:]))
    before = {name: t.clone() for name, t in model.state_dict().items()}
    check.end()
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert model.training and step.outputs is None
