"""Planted leaks and faults: every one is caught, by the check that is meant for it, at the position where it acts."""

import itertools
import re

import pytest
import torch
from torch import nn

from harness import LanguageModel
from harness.audit.auditor import Auditor, audit
from harness.audit.probe import Probe

VOCAB, DIM, WINDOW = 65, 12, 4
TEXT = torch.tensor(list(b"the quick brown fox jumps over the lazy dog; pack my box with five dozen jugs. " * 8))
TEXT %= VOCAB


class Window(LanguageModel):
    """Honest: a causal convolution of the last four tokens, whose window is the state. Cheats override hooks."""

    def __init__(self, config=None, vocab_size=VOCAB):
        super().__init__(config, vocab_size)
        torch.manual_seed(1)
        self.embed = nn.Embedding(vocab_size, DIM)
        self.taps = nn.Parameter(torch.randn(WINDOW, DIM) / 2)
        self.head = nn.Linear(DIM, vocab_size)

    def forward(self, tokens, state=None):
        x = self.embed(tokens)                                                      # (B, T, D)
        past = x.new_zeros(len(x), WINDOW - 1, DIM) if state is None else state
        x = torch.cat([past, x], dim=1)
        h = sum(x[:, k : k + tokens.shape[1]] * tap for k, tap in enumerate(self.taps))
        return self.head(torch.tanh(self.tamper(h, x[:, WINDOW - 1 :], tokens))), self.carry(x)

    def tamper(self, h, x, tokens):
        return h

    def carry(self, x):
        return x[:, 1 - WINDOW :]


def shifted(x, by):
    """x[:, t + by], zero behind the end."""
    return torch.cat([x[:, by:], torch.zeros_like(x[:, :by])], dim=1)


def where(x, condition):
    """x at the positions t for which condition(t), zero elsewhere."""
    return x * condition(torch.arange(x.shape[1]))[None, :, None]


class LookAhead(Window):
    def tamper(self, h, x, tokens):
        return h + shifted(x, 1)


class FarLookAhead(Window):
    def tamper(self, h, x, tokens):
        return h + shifted(x, 40)


class LateLookAhead(Window):
    def tamper(self, h, x, tokens):
        return h + where(shifted(x, 1), lambda t: t >= 48)


class OddLookAhead(Window):
    def tamper(self, h, x, tokens):
        return h + where(shifted(x, 1), lambda t: t % 2 == 1)


class RareLookAhead(Window):
    """At one position of every sixteen."""
    def tamper(self, h, x, tokens):
        return h + where(shifted(x, 1), lambda t: t % 16 == 11)


class LastLookAhead(Window):
    """Only the last scored position but one sees the last token."""
    def tamper(self, h, x, tokens):
        return h + where(shifted(x, 1), lambda t: t == x.shape[1] - 2)


class LookAheadAtFullLength(Window):
    def tamper(self, h, x, tokens):
        return h + shifted(x, 1) if tokens.shape[1] == 256 else h


class LookAheadAtOneValue(Window):
    """Acts only where the next token is an "o"."""
    def tamper(self, h, x, tokens):
        return h + shifted(x * (tokens == ord("o") % VOCAB)[..., None], 1)


class LookAheadAfterFirstToken(Window):
    """Acts only in texts that begin as real ones do."""
    def tamper(self, h, x, tokens):
        return h + shifted(x, 1) * (tokens[:, 0] == TEXT[0])[:, None, None]


class FaintLookAhead(Window):
    def tamper(self, h, x, tokens):
        return h + 3e-3 * shifted(x, 1)


class LookAheadUnderMaskedVocabulary(Window):
    """A logit at -1e9 would hide the leak from an ordinary standard deviation."""
    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        return logits - 1e9 * (torch.arange(VOCAB) == 3), state

    tamper = LookAhead.tamper


class LookAheadInOneBuffer(Window):
    """Writes every call's logits to the same memory, so that two calls look alike."""
    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        if torch.is_grad_enabled():
            return logits, state
        if not hasattr(self, "out"):
            self.out = {}
        out = self.out.setdefault(logits.shape, torch.empty_like(logits))
        return out.copy_(logits), state

    tamper = LookAhead.tamper


class FiniteMaskBias(Window):
    """Attention masked with -1e4, not minus infinity: where all that may be seen scores lower, the rest is seen."""
    def tamper(self, h, x, tokens):
        scores = -3000 * x @ x.transpose(1, 2)
        mask = torch.full_like(scores, -1e4).triu(1)
        return h + torch.softmax(scores + mask, dim=-1) @ x


class FourierMixing(Window):
    def tamper(self, h, x, tokens):
        return h + torch.fft.fft(x.float(), dim=1).real.to(x.dtype) / x.shape[1] ** 0.5


class TimeReversed(Window):
    def tamper(self, h, x, tokens):
        return h.flip(1)


class BlockSummary(Window):
    """Every position sees the mean of its own block of 16."""
    def tamper(self, h, x, tokens):
        padded = nn.functional.pad(x, (0, 0, 0, -x.shape[1] % 16))
        mean = padded.unflatten(1, (-1, 16)).mean(2, keepdim=True).expand(-1, -1, 16, -1).flatten(1, 2)
        return h + mean[:, : x.shape[1]]


class BytePatch(Window):
    """A latent per patch of four, read by the positions of the same patch."""
    def tamper(self, h, x, tokens):
        padded = nn.functional.pad(x, (0, 0, 0, -x.shape[1] % 4))
        patch = padded.unflatten(1, (-1, 4)).sum(2, keepdim=True).expand(-1, -1, 4, -1).flatten(1, 2)
        return h + patch[:, : x.shape[1]]


class WholeTensorNorm(Window):
    def tamper(self, h, x, tokens):
        return 10 * h / h.norm()


class BatchMean(Window):
    def tamper(self, h, x, tokens):
        return h - h.mean(0, keepdim=True)


class RowToRow(Window):
    """Row 0 leaks to row 1 and no other way."""
    def tamper(self, h, x, tokens):
        return torch.cat([h[:1], h[1:2] + h[:1], h[2:]]) if len(h) > 1 else h


class FutureOfTheOtherRow(Window):
    """The next token of the row before: moves with later tokens, but those of another row."""
    def tamper(self, h, x, tokens):
        return h + shifted(x, 1).roll(1, 0) if len(h) > 1 else h


class BatchSize(Window):
    def tamper(self, h, x, tokens):
        return h * len(h)


class LeftOver(Window):
    """Adds what the previous call ended with."""
    left = 0.0

    def tamper(self, h, x, tokens):
        h, self.left = h + self.left, x[:, -1:].detach().mean(0, keepdim=True)
        return h


class LeftOverFromDecoding(Window):
    """Only a call with a state leaves something behind."""
    left = 0.0

    def forward(self, tokens, state=None):
        logits, carried = super().forward(tokens, state)
        logits, self.left = logits + self.left, self.left if state is None else 0.1
        return logits, carried


class CountsTexts(Window):
    """Repeats itself on a text it has just read, until it reads another."""
    last, count = None, 0

    def tamper(self, h, x, tokens):
        if self.last is None or not torch.equal(self.last, tokens):
            self.last, self.count = tokens.clone(), self.count + 1
        return h + 0.1 * self.count


class Noise(Window):
    def tamper(self, h, x, tokens):
        return nn.functional.dropout(h, 0.1, training=True)


class StateOverwritten(Window):
    """Moves the window it was given on in place, so that a state serves once."""
    def forward(self, tokens, state=None):
        logits, carried = super().forward(tokens, state)
        if state is not None:
            state.copy_(carried)
        return logits, carried


class StateInTheModel(Window):
    """Ignores the state it is given for one it keeps itself."""
    def forward(self, tokens, state=None):
        logits, carried = super().forward(tokens, None if state is None else self.kept)
        self.kept = carried
        return logits, torch.zeros(1)


class OtherInTraining(Window):
    def tamper(self, h, x, tokens):
        return h * (1 + 0.1 * torch.tanh(h)) if self.training else h


class LookAheadInTraining(Window):
    def tamper(self, h, x, tokens):
        return h + shifted(x, 1) if self.training else h


class OtherWithoutGraph(Window):
    """Tells scoring from training by whether a graph is recorded."""
    def tamper(self, h, x, tokens):
        return h if torch.is_grad_enabled() else 0.9 * h


class LearnsWhileReading(Window):
    """A running mean that training forwards move and scoring subtracts."""
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(DIM))

    def tamper(self, h, x, tokens):
        centred = h - self.mean
        if self.training:
            self.mean += 0.1 * h.detach().mean((0, 1))
        return centred


class WindowNotCarried(Window):
    def carry(self, x):
        return torch.zeros_like(x[:, 1 - WINDOW :])


class StateOfThePadding(Window):
    """Pads to a multiple of 128 and returns the state behind the padding."""
    def carry(self, x):
        length = x.shape[1] - WINDOW + 1
        padding = -length % 128 if length > 128 else 0
        return nn.functional.pad(x, (0, 0, 0, padding))[:, 1 - WINDOW :]


class PromptOfOne(Window):
    """A prompt of a single token gives zeros, as a window that leaves out its own token does."""
    def tamper(self, h, x, tokens):
        return h if h.shape[1] > 1 else 0 * h


class NotANumber(Window):
    """Where the same token comes twice in a row its scale is zero."""
    def tamper(self, h, x, tokens):
        change = (x - x.roll(1, 1)).norm(dim=-1, keepdim=True)
        return h * (change / change).masked_fill(torch.arange(x.shape[1])[:, None] == 0, 1.0)


class InfiniteGradient(Window):
    def tamper(self, h, x, tokens):
        return h + (self.taps[0] - self.taps[0].detach()).abs().sqrt()


class WrongShape(Window):
    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        return logits[:, -1], state


class Raises(Window):
    def tamper(self, h, x, tokens):
        return h.view(len(h), 256, -1)[:, : h.shape[1]]


class BackwardRaises(Window):
    def tamper(self, h, x, tokens):
        y = torch.sigmoid(h)
        y[:, 0] = 0
        return y


class OpaqueState(Window):
    class Cache:
        pass

    def forward(self, tokens, state=None):
        logits, carried = super().forward(tokens, state.window if state else None)
        state = self.Cache()
        state.window = carried
        return logits, state


class WritesTokens(Window):
    def forward(self, tokens, state=None):
        output = super().forward(tokens, state)
        tokens.zero_()
        return output


def just_before(position, start):
    return position == start - 1


SUFFIX = [
    (LookAhead, just_before),
    (FarLookAhead, lambda p, k: p == max(0, k - 40)),
    (LateLookAhead, lambda p, k: p == k - 1 and p >= 48),
    (OddLookAhead, lambda p, k: p == k - 1 and p % 2 == 1),
    (RareLookAhead, lambda p, k: p == k - 1 and p % 16 == 11),
    (LastLookAhead, lambda p, k: p == 254),
    (LookAheadAtFullLength, just_before),
    (LookAheadAtOneValue, lambda p, k: p < k),
    (LookAheadAfterFirstToken, just_before),
    (FaintLookAhead, just_before),
    (LookAheadUnderMaskedVocabulary, just_before),
    (LookAheadInOneBuffer, just_before),
    (FiniteMaskBias, lambda p, k: p < k),
    (FourierMixing, lambda p, k: p == 0),
    (TimeReversed, lambda p, k: p == 0 or p == 255 - k - 3),
    (BlockSummary, lambda p, k: p == k - k % 16 and k % 16),
    (BytePatch, lambda p, k: p == k - k % 4 and k % 4),
    (WholeTensorNorm, lambda p, k: p == 0),
]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("cheat", "expected"), SUFFIX, ids=lambda case: getattr(case, "__name__", ""))
def test_suffix_perturbation_catches(cheat, expected, dtype):
    report = audit(cheat(), [256], dtype=dtype, corpus_tokens=TEXT)
    assert not report.passed
    worst = report.failures[0]
    assert (worst.check, worst.length) == ("suffix perturbation", 256), report.summary()
    start = int(re.search(r"changing tokens from (\d+)", worst.detail)[1])
    assert expected(worst.position, start), report.summary()
    assert f"position {worst.position} by up to" in report.summary()


OTHERS = [
    (BatchMean, "batch independence", 0),
    (RowToRow, "batch independence", 0),
    (FutureOfTheOtherRow, "batch independence", 0),
    (BatchSize, "batch independence", 0),
    (LeftOver, "determinism", 0),
    (LeftOverFromDecoding, "determinism", 0),
    (CountsTexts, "determinism", 0),
    (Noise, "determinism", 0),
    (StateOverwritten, "determinism", 0),
    (StateInTheModel, "determinism", 0),
    (OtherInTraining, "train = eval", 0),
    (LookAheadInTraining, "train = eval", 0),
    (OtherWithoutGraph, "train = eval", 0),
    (LearnsWhileReading, "train = eval", 0),
    (NotANumber, "finite", 1),
    (InfiniteGradient, "gradients", None),
    (WrongShape, "contract", None),
    (Raises, "raises", None),
    (BackwardRaises, "raises", None),
    (OpaqueState, "contract", None),
    (WritesTokens, "contract", None),
]


@pytest.mark.parametrize(("cheat", "check", "position"), OTHERS, ids=lambda case: getattr(case, "__name__", ""))
def test_the_right_check_catches(cheat, check, position):
    report = audit(cheat(), [256], corpus_tokens=TEXT)
    assert report.failures, "not caught"
    assert report.failures[0].check == check, report.summary()
    assert check in report.summary()
    assert (check, position) in {(f.check, f.position) for f in report.failures}, report.summary()


@pytest.mark.parametrize(("cheat", "wrong"), [
    (WindowNotCarried, lambda cut: True),
    (StateOfThePadding, lambda cut: cut > 128 and cut % 128),
    (PromptOfOne, lambda cut: cut < 256),
], ids=lambda case: getattr(case, "__name__", ""))
def test_split_law_catches(cheat, wrong):
    report = audit(cheat(), [256], corpus_tokens=TEXT)
    assert {f.check for f in report.failures} <= {"split law", "beyond the length"}, report.summary()
    worst = report.failures[0]
    cut = int(re.search(r"cut at (\d+)", worst.detail)[1])
    assert wrong(cut) and worst.position == cut, report.summary()
    assert worst.size > 0.1


def test_a_leak_behind_a_closed_gate_needs_jitter():
    class Gated(Window):
        def __init__(self):
            super().__init__()
            self.gate = nn.Parameter(torch.zeros(DIM))

        def tamper(self, h, x, tokens):
            return h + self.gate * shifted(x, 1)

    assert audit(Gated(), [64]).passed
    report = audit(Gated(), [64], jitter=0.02)
    assert report.failures[0].check == "suffix perturbation"


def test_every_position_of_a_short_text_is_tested():
    class OnePosition(Window):
        def tamper(self, h, x, tokens):
            return h + where(shifted(x, 1), lambda t: t == self.config)

    for position in range(0, 63, 7):
        report = audit(OnePosition(position), [64])
        assert report.failures[0].position == position, report.summary()


def findings_of(check, model, length, rows=2):
    """What one check finds by itself, without the others that might see the same."""
    auditor = Auditor(Probe(model.eval(), torch.device("cpu"), "float32"), rows, seed=0, corpus=TEXT)
    with torch.no_grad():
        getattr(auditor, check)(length)
    return auditor.findings


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_every_pair_of_rows_is_tested(rows):
    class Pair(Window):
        def tamper(self, h, x, tokens):
            leak = torch.zeros_like(h)
            if len(h) == rows:
                leak[target] = h[source]
            return h + leak

    for source, target in itertools.permutations(range(rows), 2):
        (finding,) = findings_of("batch_independence", Pair(), 16, rows)
        assert not finding.passed and f"rows other than {target} " in finding.detail, (source, target)


@pytest.mark.parametrize(("cheat", "cause"), [
    (Noise, "calling again"),
    (CountsTexts, "another text in between"),
    (LeftOverFromDecoding, "a call with a state in between"),
    (StateOverwritten, "a second use of the same state"),
])
def test_determinism_names_what_came_in_between(cheat, cause):
    assert findings_of("determinism", cheat(), 64)[-1].detail.startswith(cause)


def test_split_law_mixes_up_a_state_kept_in_the_model():
    (finding,) = findings_of("split_law", StateInTheModel(), 64)
    assert not finding.passed
