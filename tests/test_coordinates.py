"""A coordinate check against numbers worked out by hand, and growth with width where it is known."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness import LanguageModel
from harness.bench.coordinates import activations, coordinates, parts
from harness.errors import Unsupported

VOCAB, B, T = 11, 2, 5


@dataclass(frozen=True)
class Config:
    dim: int


@dataclass(frozen=True)
class Sizeless:
    layers: int = 1


class Pair(nn.Module):
    """A block that puts out a tensor and a state."""

    def __init__(self, dim):
        super().__init__()
        self.map = nn.Linear(dim, dim)

    def forward(self, x):
        return x + self.map(x), torch.ones(3, dtype=torch.int64)


class Model(LanguageModel):
    def __init__(self, dim=8, listed=True):
        super().__init__(Config(dim), VOCAB)
        self.embed, self.head = nn.Embedding(VOCAB, dim), nn.Linear(dim, VOCAB)
        self.body = nn.Module()
        blocks = [Pair(dim), Pair(dim)]
        self.body.blocks = nn.ModuleList(blocks) if listed else nn.Sequential(*blocks)

    def forward(self, tokens, state=None):
        x = self.embed(tokens)
        for block in self.body.blocks:
            x, _ = block(x)
        return self.head(x), None


def batches(count=3):
    draw = torch.Generator().manual_seed(0)
    return [(torch.randint(VOCAB, (B, T), generator=draw), torch.randint(VOCAB, (B, T), generator=draw))
            for _ in range(count)]


def test_the_blocks_of_the_outermost_lists_are_looked_at_else_whatever_has_no_parts():
    assert list(parts(Model())) == ["body.blocks.0", "body.blocks.1"]
    assert list(parts(Model(listed=False))) == ["embed", "head", "body.blocks.0.map", "body.blocks.1.map"]


def test_activations_are_root_mean_squares_of_what_parts_put_out():
    torch.manual_seed(0)
    model, tokens = Model(), batches()[0][0]
    x = model.embed(tokens)
    first = model.body.blocks[0](x)[0]
    second = model.body.blocks[1](first)[0]
    expected = {"body.blocks.0": first, "body.blocks.1": second, "logits": model.head(second)}
    found = activations(model, tokens, "float32")
    assert found == {name: pytest.approx(float(y.detach().square().mean().sqrt())) for name, y in expected.items()}
    assert not model.embed._forward_hooks and not model.body.blocks[0]._forward_hooks


def test_updates_are_relative_to_the_matrices_of_their_part():
    """One step of AdamW without decay moves every element that has a gradient by the rate."""
    torch.manual_seed(0)
    model, rate = Model(), 1e-3
    whole = {name: p.detach().clone() for name, p in model.named_parameters()}
    found = coordinates(model, batches(1), rate, "float32")
    assert found.width == 8
    weight = whole["body.blocks.0.map.weight"] * (1 - 0.01 * rate)
    moved = (model.body.blocks[0].map.weight.detach() - weight).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, rate), rtol=1e-3, atol=1e-6)
    norm = (model.body.blocks[0].map.weight.detach() - whole["body.blocks.0.map.weight"]).norm()
    assert found.updates["body.blocks.0"] == pytest.approx(float(norm / whole["body.blocks.0.map.weight"].norm()))
    assert found.updates.keys() == {"embed", "head", "body.blocks.0", "body.blocks.1"}


def test_training_goes_on_over_all_batches():
    torch.manual_seed(0)
    one, torch_model = Model(), Model()
    torch_model.load_state_dict(one.state_dict())
    coordinates(one, batches(3), 1e-2, "float32")
    optimizer = torch.optim.AdamW(torch_model.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.01)
    for group in optimizer.param_groups:
        group["params"] = [p for p in group["params"] if p.dim() >= 2]
    optimizer.add_param_group({"params": [p for p in torch_model.parameters() if p.dim() < 2], "weight_decay": 0.0})
    for inputs, targets in batches(3):
        optimizer.zero_grad()
        F.cross_entropy(torch_model(inputs)[0].flatten(0, 1), targets.flatten()).backward()
        nn.utils.clip_grad_norm_(torch_model.parameters(), 1.0)
        optimizer.step()
    for a, b in zip(one.parameters(), torch_model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_model_without_a_width_says_so():
    model = Model()
    model.config = Sizeless()
    with pytest.raises(Unsupported, match="no dim or width"):
        coordinates(model, batches(1), 1e-3, "float32")
