"""What is read back from disk: of a known form, or one clear line; never a traceback, a hang or a full memory."""

import json
import os
import time
from typing import Any

import pytest
from msgspec import Struct

from harness.errors import FileError
from harness.untrusted import (
    DEEPEST,
    Finite,
    Malformed,
    bounded,
    held_to,
    parse_json,
    parse_toml,
    read_bounded,
)


class Form(Struct, forbid_unknown_fields=True):
    count: int = 0
    share: Finite = 0.0
    names: list[str] = []
    other: str | int = ""


def test_a_regular_file_is_read_whole_up_to_its_bound(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"12345678")
    assert read_bounded(path, 8) == b"12345678"
    with pytest.raises(FileError, match="larger than"):
        read_bounded(path, 7)
    for nowhere in (tmp_path / "none", path / "below"):
        with pytest.raises(FileNotFoundError):
            read_bounded(nowhere)


@pytest.mark.parametrize("name", ["folder", "pipe", "device", "link", "nul\x00"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "link").symlink_to(tmp_path / "link")
    path = tmp_path / name
    begun = time.monotonic()
    with pytest.raises(FileError, match="cannot read") as told:
        read_bounded(path)
    assert time.monotonic() - begun < 1 and "\n" not in str(told.value)


@pytest.mark.parametrize("text", [
    "", "{", '{"a": NaN}', "[1e999]", '{"a": 1,}', '"\\ud800"', "[" * 100_000, '{"a":' * 100_000, "9" * 5000 + "x",
    "\x00",
])
def test_json_that_is_none_is_malformed(text):
    with pytest.raises(Malformed) as told:
        bounded(parse_json(text, Any))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", [
    b"a = [", b"\xff\xfe", b"a = " + b"[" * 50_000 + b"]" * 50_000, b".".join([b"a"] * 100_000) + b" = 1",
    b"[" + b" . ".join([b'"a"'] * 100_000) + b"]", b"x = {" + b"a.".join([b""] * 50_000) + b"a = 1}",
    b"a = '" * 100_000, b'a = "' + b'\\"' * 200_000,
])
def test_toml_that_is_none_or_nests_without_end_is_malformed_at_once(text):
    begun = time.monotonic()
    with pytest.raises(Malformed):
        parse_toml(text)
    assert time.monotonic() - begun < 5


def test_toml_may_begin_with_a_byte_order_mark_and_hold_dots_in_texts():
    words = ".".join(["a"] * 100)
    assert parse_toml(f'\ufeffa.b = "{words}" # {words[:40]}\n'.encode()) == {"a": {"b": words}}


@pytest.mark.parametrize(("levels", "fits"), [(DEEPEST, True), (DEEPEST + 1, False)])
def test_depth_is_counted_in_lists_and_tables(levels, fits):
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    if fits:
        assert bounded(value) is value
    else:
        with pytest.raises(Malformed, match="deeper than"):
            bounded(value)


@pytest.mark.parametrize(("value", "place", "words"), [
    ({"count": "1"}, "count", "must be an integer, not text"), ({"count": True}, "count", "not true or false"),
    ({"count": 1.5}, "count", "must be an integer"), ({"share": "x"}, "share", "must be a number, not text"),
    ({"share": float("nan")}, "share", "must be a number"), ({"share": float("inf")}, "share", "must be a number"),
    ({"names": "ab"}, "names", "must be a list"), ({"names": ["a", 1]}, "names[1]", "must be text, not an integer"),
    ({"other": []}, "other", "not a list"), ({"cuont": 1}, "cuont", "did you mean 'count'"),
    ([], "", "must be a table"),
])
def test_a_value_of_another_type_is_told_with_its_place(value, place, words):
    with pytest.raises(Malformed) as told:
        held_to(value, Form)
    assert told.value.place == place and words in told.value.reason


def test_what_fits_its_form_is_kept():
    text = json.dumps({"count": 2, "share": 1, "names": ["a"], "other": 3})
    assert held_to(json.loads(text), Form) == parse_json(text, Form) == Form(2, 1.0, ["a"], 3)
