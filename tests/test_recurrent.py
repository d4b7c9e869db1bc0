"""The recurrent networks are those of PyTorch, pass their audit and train in bfloat16."""

import pytest
import torch
from torch import nn

from harness.audit.auditor import audit
from harness.bench.train import TrainStep
from harness.build import build
from harness.registry import load

MODELS, VOCAB, LENGTH = load().models, 37, 21


def tokens():
    return torch.randint(VOCAB, (2, LENGTH), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_recurrent_network_is_that_of_pytorch_and_passes_its_audit(name):
    model = build(MODELS[name], {}, VOCAB, params=12_000).model.eval()
    x, kinds = model.embedding(tokens()) * model.config.dim**0.5, {"gru": nn.GRU, "lstm": nn.LSTM}
    cells = kinds[name](x.shape[-1], x.shape[-1], model.config.layers, batch_first=True)
    cells.load_state_dict(model.cells.state_dict())
    torch.testing.assert_close(model(tokens())[0], model.head(model.norm(cells(x)[0])))
    report = audit(model, [17], jitter=0.02)
    assert report.passed, report.summary()


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_recurrent_network_trains_in_bfloat16(name):
    step = TrainStep(build(MODELS[name], {}, VOCAB, params=12_000).model.train(), lr=1e-2, dtype="bfloat16")
    losses = [float(step(tokens()[:, :-1], tokens()[:, 1:])) for _ in range(12)]
    assert losses[-1] < losses[0] - 0.3


def test_an_lstm_learns_parity():
    """Of strings that are answered at their end. At inputs of size D^-1/2, too small to bend gates, it never does."""
    draw = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    step = TrainStep(build(MODELS["lstm"], {}, 2, params=12_000).model.train(), lr=1e-2)
    for number in range(400):
        bits = torch.randint(2, (32, 3 + number % 4), generator=draw)
        answers = torch.full_like(bits, -100)
        answers[:, -1] = bits.sum(1) % 2
        loss = float(step(bits, answers))
    assert loss < 0.05
