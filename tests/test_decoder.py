"""The shell that models share: how its weights start, a head that may be tied, and a text that may be cut."""

from types import SimpleNamespace

import pytest
import torch
from harness.plugins.decoder import AttentionBlock, Decoder
from laws import in_pieces
from torch import nn

DIM, LAYERS, VOCAB = 256, 3, 400


class Sum(nn.Module):
    """In the place of attention: the sum over the text so far, through a map in and a map out."""

    def __init__(self):
        super().__init__()
        self.into, self.out = nn.Linear(DIM, DIM), nn.Linear(DIM, DIM, bias=False)

    def forward(self, x, past, start):
        assert (past is None) == (start == 0)
        total = self.into(x).cumsum(1) + (0 if past is None else past[:, None])
        return self.out(total), total[:, -1]


def decoder(tied=True):
    torch.manual_seed(0)
    config = SimpleNamespace(dim=DIM, hidden=None, dropout=0.0, tied=tied)
    return Decoder(config, VOCAB, (AttentionBlock(config, Sum()) for _ in range(LAYERS)))


@pytest.mark.parametrize("tied", [True, False])
def test_weights_start_at_the_scale_of_their_inputs_and_branches_smaller_with_depth(tied):
    model = decoder(tied)
    for name, module in model.blocks.named_modules():
        if isinstance(module, nn.Linear):
            gain = (2 * LAYERS) ** -0.5 if name.endswith((".attention.out", ".mlp.down")) else 1.0
            assert module.weight.std().item() == pytest.approx(gain * module.in_features**-0.5, rel=0.02), name
            assert module.bias is None or not module.bias.any()
    assert model.embedding.weight.std().item() == pytest.approx(0.1 if tied else 1.0, rel=0.02)
    assert (model.head.weight is model.embedding.weight) == tied
    if not tied:
        assert model.head.weight.std().item() == pytest.approx(DIM**-0.5, rel=0.02)


def test_a_cut_text_gives_the_logits_of_the_whole():
    model, text = decoder().eval(), torch.arange(20).view(2, 10)
    with torch.no_grad():
        whole, _ = model(text)
        pieces, state = in_pieces(model, text, [4, 5])
    torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-4)
    assert state["length"].tolist() == [10, 10]


def test_the_same_seed_gives_weights_drawn_in_the_order_they_stand():
    """Embedding first, then block after block, as every checkpoint and every measured number assumes."""
    drawn = []
    config = SimpleNamespace(dim=DIM, hidden=None, dropout=0.0, tied=True)

    def blocks():
        for _ in range(LAYERS):
            drawn.append(torch.get_rng_state())
            yield AttentionBlock(config, Sum())

    torch.manual_seed(0)
    Decoder(config, VOCAB, blocks())
    torch.manual_seed(0)
    nn.Embedding(VOCAB, DIM)
    assert len(drawn) == LAYERS and torch.equal(drawn[0], torch.get_rng_state())
