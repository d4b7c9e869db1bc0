"""Wire: nests of tensors come back as they were sent, and nothing that could run is ever made of a message."""

import pickle
from collections import OrderedDict, namedtuple

import msgspec
import pytest
import torch
from torch.utils import _pytree as pytree

from harness.referee.wire import DEEPEST, DTYPES, NAMED, TENSOR, Named, NotPlain, decode, encode

Pair = namedtuple("Pair", "left right")


def same(a, b):
    assert pytree.tree_structure(a) == pytree.tree_structure(b)
    for x, y in zip(pytree.tree_leaves(a), pytree.tree_leaves(b), strict=True):
        assert type(x) is type(y)
        assert (x.dtype, x.shape) == (y.dtype, y.shape) and torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y


@pytest.mark.parametrize("value", [
    None, True, -3, 2.5, float("inf"), "text", b"\x00\xff", [], (), {}, [1, (2, [3.0, None])], {"a": (1,), "b": {}},
    {1: "one", (2, 3): [4]}, {None: 1},
], ids=repr)
def test_plain_values_come_back_in_their_form(value):
    assert decode(encode(value)) == value
    assert type(decode(encode(value))) is type(value)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_tensors_of_every_kind_come_back_bit_for_bit(dtype, shape):
    tensor = (100 * torch.rand(shape, generator=torch.Generator().manual_seed(1))).to(dtype)
    same(decode(encode(tensor)), tensor)


def test_of_a_view_only_what_it_shows_is_sent():
    whole = torch.randn(64, 64)
    view = whole[::2, 5:7]
    message = encode([view, view.mT, whole.to(torch.complex64)[0].conj()])
    assert len(message) < 4 * (2 * view.numel() + 2 * 64) + 200
    found = decode(message)
    same(found, [view, view.mT, whole.to(torch.complex64)[0].conj().resolve_conj()])


def test_states_keep_their_form_and_named_tuples_their_class_for_their_own_code_alone():
    state = {"layers": [Pair(torch.ones(2), (torch.zeros(1), 3)), OrderedDict(a=torch.tensor(1))], "at": 7}
    theirs = decode(encode(state))
    assert theirs["layers"][0] == Named(Pair.__module__, "Pair", theirs["layers"][0].items)
    same(decode(encode(theirs), own=True), decode(encode(state), own=True))
    assert isinstance(decode(encode(theirs), own=True)["layers"][0], Pair)


def nest(depth):
    return [nest(depth - 1)] if depth else 1


@pytest.mark.parametrize("value", [
    object(), lambda: 0, {1, 2}, 1 << 70, [print], {"a": object()}, torch.ones(2).to_sparse(), nest(DEEPEST + 2),
], ids=lambda value: type(value).__name__)
def test_what_is_no_nest_of_plain_values_is_refused(value):
    with pytest.raises(NotPlain):
        encode(value)


def tensor_message(name, shape, numbers):
    head = msgspec.msgpack.encode([name, shape])
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(TENSOR, len(head).to_bytes(4, "little") + head + numbers))


@pytest.mark.parametrize("message", [
    b"", b"\xc1", b"\x93\x01", encode([1, 2])[:-1], pickle.dumps([1]), tensor_message("float32", [2], b"1234"),
    tensor_message("float32", [-1], b""), tensor_message("object", [1], b"12345678"),
    tensor_message("int64", [1 << 62], b""), tensor_message("int64", [1 << 62, 4], b""),
    tensor_message("float32", ["x"], b""), msgspec.msgpack.encode(msgspec.msgpack.Ext(TENSOR, b"\xff\xff\xff\xff")),
    msgspec.msgpack.encode(msgspec.msgpack.Ext(99, b"\x90")), b"\x91" * 100_000,
], ids=lambda message: repr(message[:12]))
def test_a_hostile_message_is_told_as_such(message):
    with pytest.raises(NotPlain):
        decode(message)


def test_a_name_in_a_message_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "imported_by_name.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    items = msgspec.msgpack.encode(["imported_by_name", "Class", [1]])
    assert decode(msgspec.msgpack.encode(msgspec.msgpack.Ext(NAMED, items))) == Named("imported_by_name", "Class", (1,))
