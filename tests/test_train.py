"""The training loop against a bare PyTorch loop, its schedule in closed form."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness import LanguageModel
from harness.bench.train import VALIDATE_AT, Recipe, TrainStep, asked, autocast, train
from harness.errors import Unsupported, UsageError

VOCAB, B, T = 13, 4, 8


class Tiny(LanguageModel):
    """A bigram MLP with a norm, dropout and an auxiliary loss: everything that the loop must handle."""

    def __init__(self, dropout=0.0, penalty=0.0):
        super().__init__(None, VOCAB)
        self.embed, self.norm, self.head = nn.Embedding(VOCAB, 6), nn.RMSNorm(6), nn.Linear(6, VOCAB)
        self.dropout, self.penalty = nn.Dropout(dropout), penalty

    def forward(self, tokens, state=None):
        self.hidden = self.dropout(self.norm(self.embed(tokens)))
        return self.head(self.hidden), None

    def auxiliary_losses(self):
        return {"size": self.penalty * self.hidden.square().mean()} if self.penalty else {}


def tiny(seed=0, **options):
    torch.manual_seed(seed)
    return Tiny(**options)


def batches(seed=1, size=B * T):
    """An endless stream in which the next token is the token plus one: learnable."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        first = torch.randint(VOCAB, (B, 1), generator=generator)
        tokens = (first + torch.arange(T + 1)) % VOCAB
        yield tokens[:, :-1], tokens[:, 1:], size


def test_weights_are_those_of_a_bare_loop():
    steps, lr, recipe = 20, 0.02, Recipe(weight_decay=0.3, clip=0.5)
    ours = tiny(penalty=0.1)
    train(ours, batches(), lr=lr, budget_bytes=steps * B * T, recipe=recipe)

    bare = tiny(penalty=0.1)
    optimizer = torch.optim.AdamW([
        {"params": [bare.embed.weight, bare.head.weight], "weight_decay": 0.3},
        {"params": [bare.norm.weight, bare.head.bias], "weight_decay": 0.0},
    ], lr=lr, betas=(0.9, 0.95))
    # 20 steps: a warm-up of 2, then half a cosine from 1 to 0.05 that ends with the run
    factors = [0.5] + [0.05 + 0.95 * (1 + math.cos(math.pi * (k / 20 - 0.1) / 0.9)) / 2 for k in range(2, 21)]
    for factor, (inputs, targets, _) in zip(factors, batches(), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = lr * factor
        optimizer.zero_grad()
        logits, _ = bare(inputs)
        (F.cross_entropy(logits.reshape(-1, VOCAB), targets.reshape(-1)) + bare.auxiliary_losses()["size"]).backward()
        nn.utils.clip_grad_norm_([*optimizer.param_groups[0]["params"], *optimizer.param_groups[1]["params"]], 0.5)
        optimizer.step()

    for (name, a), (_, b) in zip(ours.named_parameters(), bare.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=name)


def test_places_without_a_target_change_no_bit_of_a_step():
    """Against the loss over all places, which leaves them out by itself."""
    model, reference = tiny(penalty=0.1), tiny(penalty=0.1)
    inputs, targets, _ = next(batches())
    targets = torch.where(torch.arange(T) % 5 == 2, targets, -100)
    reference.load_state_dict(model.state_dict())
    TrainStep(model, lr=0.1).backward(inputs, targets)
    (F.cross_entropy(reference(inputs)[0].flatten(0, 1), targets.flatten())
     + reference.auxiliary_losses()["size"]).backward()
    for (name, a), (_, b) in zip(model.named_parameters(), reference.named_parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name
    logits = torch.randn(6, VOCAB)
    few, wanted = asked(logits, torch.tensor([-100, 3, -100, 0, 1, -100]))
    assert torch.equal(few, logits[[1, 3, 4]]) and wanted.tolist() == [3, 0, 1]
    assert asked(logits, torch.arange(6))[0] is logits


def test_schedule_is_linear_then_cosine_and_spans_the_run():
    scale = Recipe(warmup=0.1, final=0.05).scale
    assert scale(0.05) == pytest.approx(0.5)
    assert scale(0.1) == pytest.approx(1.0)
    assert scale(0.55) == pytest.approx(0.05 + 0.95 / 2)         # half-way through the cosine
    assert scale(1.0) == pytest.approx(0.05)
    values = [scale(k / 1000) for k in range(100, 1001)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("sizes", [[10], [7], [3, 30, 0, 11]])
def test_budget_is_in_bytes_whatever_a_step_holds(sizes):
    """The last step is the first that reaches the budget; it runs at the final learning rate."""
    cycle = itertools.cycle(sizes)
    stream = ((inputs, targets, next(cycle)) for inputs, targets, _ in batches())
    result = train(tiny(), stream, lr=0.01, budget_bytes=100)
    expected, total = 0, 0
    for size in itertools.cycle(sizes):
        expected, total = expected + 1, total + size
        if total >= 100:
            break
    assert (result.steps, result.bytes_seen, result.tokens_seen) == (expected, total, expected * B * T)
    assert result.curve[-1][0] == total


def test_curve_is_the_mean_loss_of_its_window_in_bits_per_byte():
    """At a learning rate of 0 the loss is known: cross entropy over the bytes that the targets stand for."""
    model, size = tiny(), 40
    with torch.no_grad():
        losses = [F.cross_entropy(model(x)[0].double().flatten(0, 1), y.flatten()).item()
                  for x, y, _ in itertools.islice(batches(size=size), 100)]
    result = train(model, batches(size=size), lr=0.0, budget_bytes=100 * size)
    assert [at for at, _ in result.curve] == [2 * k * size for k in range(1, 51)]
    for k, (_, bits) in enumerate(result.curve):
        assert bits == pytest.approx(sum(losses[2 * k:2 * k + 2]) / 2 * B * T / math.log(2) / size, rel=1e-6)
    assert result.tail_bits_per_byte == pytest.approx(sum(losses[80:]) / 20 * B * T / math.log(2) / size, rel=1e-6)


def test_training_learns():
    result = train(tiny(), batches(), lr=0.05, budget_bytes=200 * B * T)
    assert result.curve[0][1] > 3.0
    assert result.tail_bits_per_byte < 0.5
    assert not result.diverged and result.seconds > 0


def test_divergence_stops_the_run_and_is_reported():
    result = train(tiny(), batches(), lr=1e30, budget_bytes=1000 * B * T)
    assert result.diverged
    assert result.steps < 1000
    assert result.tail_bits_per_byte == math.inf


def test_weights_broken_by_the_last_step_count_as_diverged():
    result = train(tiny(), batches(), lr=math.inf, budget_bytes=1)
    assert result.steps == 1 and math.isfinite(result.curve[0][1])
    assert result.diverged


def test_validation_changes_nothing_in_the_run():
    """With dropout, a validation that draws random numbers must leave weights and random state as without it."""
    modes = []

    def validate(model):
        modes.append(model.training)
        torch.rand(100)
        return 1.5

    with_validation, without = tiny(dropout=0.5), tiny(dropout=0.5)
    torch.manual_seed(7)
    result = train(with_validation, batches(), lr=0.01, budget_bytes=64 * B * T, validate=validate)
    torch.manual_seed(7)
    train(without, batches(), lr=0.01, budget_bytes=64 * B * T)
    for a, b in zip(with_validation.parameters(), without.parameters(), strict=True):
        assert torch.equal(a, b)
    assert modes == [False] * len(VALIDATE_AT) and with_validation.training
    for (at, bits), mark in zip(result.validation, VALIDATE_AT, strict=True):
        assert bits == 1.5
        assert 0 <= at / (64 * B * T) - mark <= 1 / 32            # at the first point of the curve past the mark


def test_progress_hears_every_point_of_the_curve():
    heard = []
    result = train(tiny(), batches(), lr=0.01, budget_bytes=30 * B * T, progress=lambda *point: heard.append(point))
    assert heard == result.curve and len(heard) == 30


def test_bfloat16_casts_products_and_keeps_parameters():
    model = tiny()
    seen = []
    model.head.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    loss = TrainStep(model, lr=0.01, dtype="bfloat16")(*next(batches())[:2])
    assert seen == [torch.bfloat16] and loss.dtype == torch.float32
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    with pytest.raises(UsageError, match="float32 or bfloat16"):
        autocast("cpu", "float16")


def test_frozen_parameters_stay():
    model = tiny()
    model.embed.weight.requires_grad_(False)
    before = model.embed.weight.clone()
    train(model, batches(), lr=0.05, budget_bytes=10 * B * T)
    assert torch.equal(model.embed.weight, before)


def test_a_model_without_parameters_says_so():
    with pytest.raises(Unsupported, match="LanguageModel has no parameters"):
        TrainStep(LanguageModel(None, VOCAB), lr=0.1)
