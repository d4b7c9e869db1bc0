"""Where tensors lie: what would break on another device or in bfloat16 is found, what would not is let be."""

from collections import namedtuple

import pytest
import torch
from torch import nn

from harness.build import build
from harness.conformance.placement import CPU, Devices, Dtypes, Misplaced
from harness.model import LanguageModel
from harness.options import config_class
from harness.registry import load
from harness.specs import missing

CONSTANT = torch.ones(9, 9).tril()
Config = namedtuple("Config", "dim")


REGISTRY = load()


class Toy(LanguageModel):
    """A layer around `body(model, x, state)`, which returns x and the state."""

    def __init__(self, body):
        super().__init__(Config(8), 11)
        self.embed, self.map, self.head = nn.Embedding(11, 8), nn.Linear(8, 8), nn.Linear(8, 11)
        self.register_buffer("table", torch.arange(8.0))
        self.plain, self.body = torch.ones(8), body

    def forward(self, tokens, state=None):
        x, state = self.body(self, self.map(self.embed(tokens)), state)
        return self.head(x), state


def called(book, model, tokens):
    with book, torch.no_grad():
        logits, state = model(tokens)
        model(tokens[:, :1], state)
    return logits


def on_another_device(body):
    model, tokens = Toy(body).eval(), torch.zeros(2, 5, dtype=torch.int64)
    book = Devices(model, tokens)
    return book.side(called(book, model, tokens)) is not CPU


def in_bfloat16(body):
    model, tokens = Toy(body).eval(), torch.zeros(2, 5, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16):
        called(Dtypes(model), model, tokens)


def carried(make):
    """A recurrence whose first state is `make(x)`."""
    def body(model, x, state):
        h, steps = make(x) if state is None else state, []
        for part in x.unbind(1):
            h = 0.5 * h + part
            steps.append(h)
        return torch.stack(steps, 1), h

    return body


def added(make):
    return lambda model, x, state: (x + make(model, x), None)


MISPLACED = {
    "a state": (carried(lambda x: torch.zeros(len(x), 8)), "zeros at test_placement.py"),
    "a state on the CPU by name": (carried(lambda x: torch.zeros(len(x), 8, device="cpu")), "zeros at"),
    "a state that was moved to the CPU": (carried(lambda x: torch.zeros_like(x[:, 0]).cpu()), "cpu at"),
    "a state moved by name": (carried(lambda x: torch.zeros_like(x[:, 0]).to("cpu")), "to at"),
    "positions": (lambda model, x, state: (model.embed(torch.arange(x.shape[1])) + x, None), "arange at"),
    "what comes of positions": (added(lambda model, x: torch.arange(8.0).sin().expand(x.shape)), "arange at"),
    "a mask": (lambda model, x, state: (x.masked_fill(torch.ones(x.shape[1:]).tril() == 0, 0.0), None), "ones at"),
    "a list": (added(lambda model, x: torch.tensor([1.0] * 8)), "tensor at"),
    "noise": (added(lambda model, x: torch.randn(x.shape)), "randn at"),
    "an attribute": (added(lambda model, x: model.plain), "plain of Toy, no buffer,"),
    "a constant": (added(lambda model, x: CONSTANT[0, :8]), "a tensor from before the call"),
    "a part of a list": (lambda model, x, state: (torch.cat([x, torch.zeros(2, 1, 8)], 1)[:, : x.shape[1]], None),
                         "zeros at"),
}


@pytest.mark.parametrize("name", MISPLACED)
def test_what_lies_on_the_cpu_is_found_with_its_line(name):
    body, words = MISPLACED[name]
    with pytest.raises(Misplaced, match=words):
        on_another_device(body)


def test_logits_on_the_cpu_are_found():
    class Cold(Toy):
        def forward(self, tokens, state=None):
            return torch.zeros(*tokens.shape, 11), None

    model, tokens = Cold(None), torch.zeros(2, 5, dtype=torch.int64)
    book = Devices(model, tokens)
    assert book.side(called(book, model, tokens)) is CPU


PLACED = {
    "like": carried(lambda x: torch.zeros_like(x[:, 0])),
    "new": carried(lambda x: x.new_zeros(len(x), 8)),
    "by device": carried(lambda x: torch.zeros(len(x), 8, device=x.device)),
    "by another name of the device": carried(lambda x: torch.zeros(len(x), 8).to(x.device)),
    "by a tensor": carried(lambda x: torch.zeros(len(x), 8).to(x)),
    "in a context": carried(lambda x: zeros_there(x)),
    "by the type of the device": added(lambda model, x: torch.zeros(8, device=x.device.type)),
    "by the name of the device": added(lambda model, x: torch.zeros(8, device=str(x.device))),
    "through NumPy and back": added(lambda model, x: torch.as_tensor(x.cpu().numpy(), device=x.device)),
    "by a generator of the CPU": added(lambda model, x: torch.randn(8, generator=torch.Generator()).to(x.device)),
    "in a function mapped over rows": added(lambda model, x: torch.vmap(lambda row: row @ model.map.weight)(x)),
    "a buffer": added(lambda model, x: model.table),
    "a number": added(lambda model, x: torch.tensor(0.5)),
    "indices": added(lambda model, x: x[torch.arange(2)]),
    "a copy": added(lambda model, x: torch.empty_like(x).copy_(torch.zeros(x.shape))),
    "a value set": lambda model, x, state: (set_first(x, torch.zeros(8)), None),
    "a count on the host": lambda model, x, state: (x, torch.full((2,), 5) if state is None else state + 1),
    "what depends on data": lambda model, x, state: (x * (2 if x.max().item() > 0 else 1), None),
    "autocast of the device": lambda model, x, state: (without_autocast(x), None),
}


def zeros_there(x):
    with torch.device(x.device):
        return torch.zeros(len(x), 8)


def set_first(x, value):
    x = x.clone()
    x[:, 0] = value
    return x


def without_autocast(x):
    with torch.autocast(x.device.type, enabled=False):
        return x.float() * 2


@pytest.mark.parametrize("name", PLACED)
def test_what_pytorch_allows_is_let_be(name):
    assert on_another_device(PLACED[name])


def test_an_attribute_that_the_model_moves_itself_is_let_be():
    class Moving(Toy):
        def _apply(self, fn, recurse=True):
            self.plain = fn(self.plain)
            return super()._apply(fn, recurse)

    model, tokens = Moving(added(lambda model, x: model.plain)), torch.zeros(2, 5, dtype=torch.int64)
    called(Devices(model, tokens), model, tokens)


def test_the_model_is_left_as_it_was():
    model, tokens = Toy(carried(torch.zeros_like)), torch.zeros(2, 5, dtype=torch.int64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    Devices(model, tokens)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.map.weight.device == CPU and model.map.weight.requires_grad


@pytest.mark.parametrize(("body", "words"), [
    (carried(lambda x: torch.zeros(len(x), 8)), "zeros at test_placement.py.*is float32 by default"),
    (carried(lambda x: torch.zeros(len(x), 8, device=x.device)), "zeros at"),
    (added(lambda model, x: torch.full(x.shape, 0.5).triu()), "full at"),
    (added(lambda model, x: torch.linspace(0, 1, 8)), "linspace at"),
])
def test_what_is_float32_by_default_is_found(body, words):
    with pytest.raises(Misplaced, match=words):
        in_bfloat16(body)


def test_what_autocast_does_not_bear_is_raised():
    with pytest.raises(RuntimeError, match="dtype"):
        in_bfloat16(lambda model, x, state: (torch.lerp(torch.zeros(x.shape, dtype=torch.float32), x, 0.5), None))


@pytest.mark.parametrize("body", [
    carried(lambda x: torch.zeros_like(x[:, 0])),
    carried(lambda x: torch.zeros(len(x), 8, dtype=x.dtype)),
    carried(lambda x: torch.zeros(len(x), 8, dtype=torch.float32)),         # meant
    carried(lambda x: x.new_zeros(len(x), 8)),
    added(lambda model, x: torch.zeros(8).to(x)),
    added(lambda model, x: torch.tensor(0.5)),
    added(lambda model, x: model.table),
    lambda model, x, state: (x.masked_fill(torch.ones(x.shape[1:], dtype=torch.bool).tril(), 0.0), None),
    lambda model, x, state: (x.float() + torch.zeros(8), None),
], ids=range(9))
def test_what_says_its_dtype_or_keeps_bfloat16_is_let_be(body):
    in_bfloat16(body)


@pytest.mark.parametrize("published", [False, True], ids=["", "as published"])
@pytest.mark.parametrize("name", REGISTRY.models)
def test_no_built_in_model_is_accused(name, published):
    spec = REGISTRY.models[name]
    if missing(spec) or (published and not hasattr(config_class(spec), "as_published")):
        pytest.skip("there is no such form here")
    model = build(spec, {"as_published": "true"} if published else {}, 31, params=10_000).model.eval()
    tokens = torch.zeros(2, 5, dtype=torch.int64)
    book = Devices(model, tokens)
    assert book.side(called(book, model, tokens)) is book.elsewhere
    with torch.autocast("cpu", torch.bfloat16):
        called(Dtypes(model), model, tokens)
