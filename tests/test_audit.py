"""The audit raises no false alarm, leaves the model as it was, and says in one line what it found."""

import dataclasses
import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness import LanguageModel, TokenHistory
from harness.audit.auditor import audit
from harness.audit.findings import AuditReport, Finding
from harness.audit.probe import Difference, spread, untouched
from harness.audit.texts import Texts, split_plans, suffix_starts

VOCAB, DIM = 65, 16
TEXT = torch.tensor(list(b"pack my box with five dozen liquor jugs; how vexingly quick daft zebras jump. " * 8)) % VOCAB


class Toy(LanguageModel):
    def __init__(self, config=None, vocab_size=VOCAB):
        super().__init__(config, vocab_size)
        torch.manual_seed(2)
        self.embed, self.head = nn.Embedding(vocab_size, DIM), nn.Linear(DIM, vocab_size)
        self.build()

    def build(self):
        pass


class Bigram(Toy):
    def build(self):
        self.mlp = nn.Sequential(nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM))

    def forward(self, tokens, state=None):
        return self.head(self.mlp(self.embed(tokens))), None


class Attention(Toy):
    """Causal attention with keys and values as the state."""

    def build(self):
        self.qkv = nn.Linear(DIM, 3 * DIM)

    def forward(self, tokens, state=None):
        x = self.embed(tokens)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if state is not None:
            k, v = torch.cat([state["k"], k], 1), torch.cat([state["v"], v], 1)
        queries, keys = torch.arange(k.shape[1] - q.shape[1], k.shape[1]), torch.arange(k.shape[1])
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=queries[:, None] >= keys)
        return self.head(x + y), {"k": k, "v": v}


class PreallocatedAttention(Attention):
    """The same, written in place into one buffer of a fixed number of positions that the state carries along."""

    def forward(self, tokens, state=None):
        x, length = self.embed(tokens), tokens.shape[1]
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        cache, start = (k.new_zeros(2, len(x), 300, DIM), 0) if state is None else state
        end = start + length
        cache = cache if state is not None else cache.clone()
        cache[:, :, start:end] = torch.stack([k, v])
        k, v = cache[:, :, :end]
        mask = torch.arange(start, end)[:, None] >= torch.arange(end)
        return self.head(x + F.scaled_dot_product_attention(q, k, v, attn_mask=mask)), (cache, end)


class GatedUnit(Toy):
    def build(self):
        self.gru = nn.GRU(DIM, DIM, batch_first=True)

    def forward(self, tokens, state=None):
        y, state = self.gru(self.embed(tokens), state)
        return self.head(y), state


class Diagonal(Toy):
    """A diagonal recurrence with an input-dependent decay, in float32 under any autocast."""

    def build(self):
        self.gate = nn.Linear(DIM, DIM)

    def forward(self, tokens, state=None):
        x = self.embed(tokens)
        decay = torch.sigmoid(self.gate(x)).float()
        h, outputs = x.new_zeros(len(x), DIM) if state is None else state, []
        for a, u in zip(decay.unbind(1), x.unbind(1), strict=True):
            h = a * h + (1 - a) * u
            outputs.append(h)
        return self.head(torch.stack(outputs, 1)), h


class History(TokenHistory):
    """A causal long convolution by Fourier transform, zero-padded: honest, though rounding spreads over time."""

    def __init__(self, config=None, vocab_size=VOCAB):
        super().__init__(config, vocab_size)
        torch.manual_seed(2)
        self.embed, self.mix, self.head = nn.Embedding(vocab_size, DIM), nn.Linear(DIM, DIM), nn.Linear(DIM, vocab_size)
        self.rate = nn.Parameter(torch.linspace(-4, 0, DIM))

    def logits(self, tokens):
        x, length = self.embed(tokens).float(), tokens.shape[1]
        for _ in range(2):
            decay = self.rate.exp()
            kernel = decay * torch.exp(-torch.arange(length)[:, None] * decay)                        # (T, D)
            spectrum = torch.fft.rfft(x, 2 * length, dim=1) * torch.fft.rfft(kernel, 2 * length, dim=0)
            x = torch.tanh(self.mix(torch.fft.irfft(spectrum, 2 * length, dim=1)[:, :length])).float()
        return self.head(x)


@dataclasses.dataclass(frozen=True)
class Rates:
    dropout: float = 0.2
    width: float = 2.0


class Dropout(Toy):
    """Dropout as a module, as a float of a module and as a field of the config."""

    def build(self):
        self.config = Rates()
        self.drop, self.attention_dropout = nn.Dropout(0.3), 0.1

    def forward(self, tokens, state=None):
        x = F.dropout(self.drop(self.embed(tokens)), self.config.dropout, self.training)
        return self.head(F.dropout(x, self.attention_dropout, self.training) * self.config.width), None


class MaskedVocabulary(Bigram):
    def forward(self, tokens, state=None):
        return super().forward(tokens)[0] - 1e9 * (torch.arange(VOCAB) >= 60), None


HONEST = [Bigram, Attention, PreallocatedAttention, GatedUnit, Diagonal, History, Dropout, MaskedVocabulary]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("scale", [1.0, 3.0], ids=["fresh", "large weights"])
@pytest.mark.parametrize("kind", HONEST)
def test_no_false_alarm(kind, dtype, scale):
    model = kind()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(scale)
    report = audit(model, [37, 200], dtype=dtype, corpus_tokens=TEXT)
    assert report.passed, report.summary()
    assert not report.warnings, report.warnings
    assert {f.length for f in report.findings} >= {16, 37, 200}


def test_model_is_left_as_it_was():
    class Restless(Dropout):
        """Changes everything it can reach."""

        def build(self):
            super().build()
            self.register_buffer("seen", torch.zeros(DIM))
            self.calls, self.log = torch.zeros(1), {}

        def forward(self, tokens, state=None):
            if self.training:
                self.seen += 1
                self.calls.add_(1)
            self.log[len(self.log)] = tokens
            self.last = torch.rand(3)
            return super().forward(tokens, state)

    model = Restless().train()
    model.drop.eval()
    model(torch.zeros(1, 4, dtype=torch.long))[0].sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    grads = {name: p.grad.clone() for name, p in model.named_parameters()}
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    log, calls, config, versions = len(model.log), model.calls.clone(), model.config, model.embed.weight._version
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)

    audit(model, [32])
    assert model.embed.weight._version == versions, "a weight was written to without need"
    audit(model, [32], jitter=0.1)

    assert torch.equal(torch.rand(3), expected), "the random state moved"
    assert model.training and not model.drop.training
    assert (model.drop.p, model.attention_dropout, model.config) == (0.3, 0.1, config)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, grads[name]) for name, p in model.named_parameters())
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    assert (len(model.log), model.calls) == (log, calls)


def test_model_is_restored_after_an_error():
    model = Bigram().train()
    before = model.embed.weight.clone()
    with pytest.raises(KeyboardInterrupt), untouched(model, torch.device("cpu")), torch.no_grad():
        model.eval()
        model.embed.weight.zero_()
        raise KeyboardInterrupt
    assert model.training
    assert torch.equal(model.embed.weight, before)


def test_running_out_of_memory_is_not_a_finding():
    class Greedy(Bigram):
        def forward(self, tokens, state=None):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        audit(Greedy(), [16])


def test_dead_parameters_are_named_and_do_not_fail():
    class Idle(Bigram):
        def build(self):
            super().build()
            self.unused, self.zeroed = nn.Linear(3, 5), nn.Parameter(torch.ones(7, dtype=torch.cfloat))

        def forward(self, tokens, state=None):
            return super().forward(tokens)[0] + 0 * self.zeroed.abs().sum(), None

    report = audit(Idle(), [32])
    assert report.passed
    assert set(report.dead) == {"unused.weight", "unused.bias", "zeroed"}
    assert report.dead_count == 15 + 5 + 2 * 7
    assert "34 numbers" in report.summary()


def test_auxiliary_losses_take_part_in_the_gradients():
    class Auxiliary(Bigram):
        def build(self):
            super().build()
            self.extra = nn.Parameter(torch.ones(2))

        def auxiliary_losses(self):
            return {"extra": self.extra.square().sum() * self.config}

    assert not audit(Auxiliary(1.0), [16]).dead
    assert audit(Auxiliary(float("nan")), [16]).failures[0].check == "gradients"


def test_a_model_that_ignores_its_tokens_is_pointed_out():
    class Unigram(Toy):
        def forward(self, tokens, state=None):
            return self.head.bias.expand(*tokens.shape, VOCAB), None

    report = audit(Unigram(), [16])
    assert report.passed
    assert "sensitivity" in {f.check for f in report.warnings}


def test_a_limit_beyond_the_scored_length_is_a_warning():
    class Limited(Bigram):
        def build(self):
            super().build()
            self.place = nn.Embedding(32, DIM)

        def forward(self, tokens, state=0):
            start = state or 0
            x = self.embed(tokens) + self.place(torch.arange(start, start + tokens.shape[1]))
            return self.head(x), start + tokens.shape[1]

    report = audit(Limited(), [32])
    assert report.passed, report.summary()
    assert "beyond the length at length 32" in report.summary() and "IndexError" in report.summary()


class Steep(Toy):
    """The running mean of what was read, its rounding blown up by `slope`; `lossy` is what becomes of the state."""

    slope, height = 3e6, 0.05
    lossy = staticmethod(lambda total: total)

    def forward(self, tokens, state=None):
        x = self.embed(tokens)
        before, count = (torch.zeros_like(x[:, :1]), 0) if state is None else state
        total = before + x.cumsum(1)
        mean = total / torch.arange(count + 1, count + tokens.shape[1] + 1)[:, None]
        after = self.lossy(total[:, -1:]), count + tokens.shape[1]
        return self.head(x + self.height * torch.sin(self.slope * mean)), after


class Lossy(Steep):
    """A state of fewer bits than the sum has: as small a difference, and no rounding of float32."""

    lossy = staticmethod(lambda total: total + 5e-7)


class OnlyFloat32(Steep):
    def forward(self, tokens, state=None):
        assert self.embed.weight.dtype == torch.float32
        return super().forward(tokens, state)


def test_float64_tells_rounding_from_a_lost_state():
    """All three differ between cuts by as little; that of an honest model vanishes with the precision, and is told."""
    honest, lossy, unknown = (audit(kind(), [200]) for kind in (Steep, Lossy, OnlyFloat32))
    assert honest.passed, honest.summary()
    assert "rounding at length 200: of float32 alone: split law within 0.0" in honest.summary()
    for report in (lossy, unknown):
        assert {f.check for f in report.failures} == {"split law"}, report.summary()
        assert all(2e-3 < f.size < 0.25 for f in report.failures)


class Amplified(Steep):
    """As faint a difference as an audit lets through, of rounding alone; `kept` is the precision of its sums."""

    slope = 1e5
    kept = staticmethod(lambda x: x)

    def forward(self, tokens, state=None):
        x = self.embed(tokens)
        before, count = (torch.zeros_like(self.kept(x[:, :1])), 0) if state is None else state
        total = before + self.kept(x).cumsum(1)
        mean = total / torch.arange(count + 1, count + tokens.shape[1] + 1)[:, None]
        after = self.lossy(total[:, -1:]), count + tokens.shape[1]
        return self.head(x + self.height * torch.sin(self.slope * mean).to(x.dtype)), after


class AlwaysFloat32(Amplified):
    """Its sums are of float32 in any copy, so that float64 shows the same rounding."""

    kept = staticmethod(lambda x: x.float())


class Faint(Diagonal):
    """Carries a state that is a little off."""

    def forward(self, tokens, state=None):
        logits, h = super().forward(tokens, state)
        return logits, h * (1 + 3e-4)


def test_float64_convicts_what_is_too_faint_for_float32():
    """All three differ by more than calls of one shape may and less than calls of different shapes may."""
    honest, single, faint = (audit(kind(), [100]) for kind in (Amplified, AlwaysFloat32, Faint))
    for report in (honest, single):
        assert report.passed, report.summary()
        assert 1e-4 < max(f.size for f in report.findings if f.check == "split law") < 2e-3
    failures = [f for f in faint.failures if f.check == "split law"]
    assert failures and all(1e-4 < f.size < 2e-3 for f in failures)
    assert "in float64 too, which no rounding explains" in faint.summary()


def test_a_large_difference_is_never_called_rounding():
    class Steeper(Steep):
        slope, height = 1e9, 1.0

    assert "split law" in {f.check for f in audit(Steeper(), [200]).failures}


def test_summary_names_the_most_telling_failure():
    split = Finding("split law", False, 64, 3, 5.0, 1e-3, "cut at 2")
    detail = "changing tokens from 101 changes logits at position 97"
    leak = Finding("suffix perturbation", False, 256, 97, 4.8, 1e-5, detail)
    fine = Finding("determinism", True, 64)
    report = AuditReport((fine, split, leak))
    assert report.failures == (leak, split)
    assert report.summary().startswith("suffix perturbation at length 256: changing tokens from 101 changes logits at")
    assert report.summary().endswith("(and 1 more)")
    assert AuditReport((fine,)).summary().startswith("passed at length 64")


@pytest.mark.parametrize("length", [65, 100, 128, 255, 256, 300, 512, 1000, 2048, 4096])
def test_suffixes_are_changed_everywhere_that_matters(length):
    starts = suffix_starts(length)
    assert starts == sorted(set(starts)) and starts[0] == 1 and starts[-1] == length - 1
    assert {k % 16 for k in starts} == set(range(16)), "a residue is missing"
    assert all(2**n + 1 in starts for n in range(1, length.bit_length()) if 2**n + 1 < length)
    assert len(starts) <= 48


@pytest.mark.parametrize("length", [2, 3, 5, 16, 100, 256, 2048])
def test_cuts_are_inside_and_awkward(length):
    plans = split_plans(length)
    assert plans and all(0 < cut < length for plan in plans for cut in plan)
    assert all(list(plan) == sorted(set(plan)) for plan in plans)
    assert (1,) in plans and (length - 1,) in plans
    if length >= 256:
        assert any(cut > 128 and all(cut % n for n in (4, 16, 64, 128)) for (cut, *_) in plans)


@pytest.mark.parametrize("length", range(1, 20))
def test_short_lengths_can_be_audited(length):
    assert audit(Attention(), [length]).passed
    assert not audit(WithoutState(), [max(2, length)]).passed


class LongTraining(Attention):
    """Cannot be trained on texts that are shorter than its training is for."""

    def forward(self, tokens, state=None):
        if torch.is_grad_enabled() and tokens.shape[1] < 32:
            raise RuntimeError("a kernel for 32 tokens or more")
        return super().forward(tokens, state)


def test_training_at_a_length_that_no_score_has_is_a_warning():
    longer, short = audit(LongTraining(), [40]), audit(LongTraining(), [20])
    assert longer.passed and "raises at length 16" in longer.summary()
    assert short.failures[0].check == "raises" and short.failures[0].length == 20


class WithoutState(Attention):
    def forward(self, tokens, state=None):
        return super().forward(tokens)[0], None


def test_changed_tokens_differ_and_the_rest_does_not():
    texts = Texts(VOCAB, TEXT, torch.device("cpu"), seed=0)
    tokens = texts.batch(2, 50)
    assert set(tokens[1].tolist()) <= set(TEXT.tolist()) and tokens[1, 0] == TEXT[0]
    first, steady = set(), 0
    for _ in range(VOCAB):
        changed = texts.changed(tokens, [10, 50])
        assert torch.equal(changed[0, :10], tokens[0, :10]) and torch.equal(changed[1], tokens[1])
        first.add(int(changed[0, 10]))
        steady += (changed[0, 10:] == changed[0, 10]).all().item()
        assert (changed[0, 10:] != tokens[0, 10:]).all() or (changed[0, 10:] == changed[0, 10]).all()
    assert len(first) == VOCAB - 1, "the first changed token takes all other values in turn"
    assert VOCAB // 4 < steady < 3 * VOCAB // 4


def test_spread_is_the_standard_deviation_and_ignores_masked_entries():
    logits = 3 * torch.randn(2, 64, 500, generator=torch.Generator().manual_seed(0)) + 7
    assert spread(logits) == pytest.approx(3, rel=0.03)
    logits[..., :5] = -1e9
    assert spread(logits) == pytest.approx(3, rel=0.03)


def test_difference_names_the_first_position_beyond_the_tolerance():
    a = torch.zeros(2, 9, 4)
    b = a.clone()
    b[1, 3, 2], b[0, 5, 0] = 0.1, -4.0
    found = Difference.between(a, b, unit=2.0, tolerance=0.06)
    assert (found.size, found.position) == (2.0, 5)
    assert Difference.between(a, b, unit=2.0, tolerance=0.01).position == 3
    assert Difference.between(a, a, unit=2.0, tolerance=0.0) == Difference()


@pytest.mark.parametrize(("lengths", "dtype"), [([16], "float16"), ([], "float32"), ([0], "float32")])
def test_what_cannot_be_audited_is_refused(lengths, dtype):
    with pytest.raises(ValueError, match="cannot audit"):
        audit(Bigram(), lengths, dtype=dtype)


def test_cost_is_some_tens_of_forwards():
    model, calls = Bigram(), 0

    def count(*_):
        nonlocal calls
        calls += 1

    model.register_forward_hook(count)
    started = time.process_time()
    audit(model, [256])
    assert calls < 110, calls
    assert time.process_time() - started < 10
