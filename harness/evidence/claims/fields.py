"""The fields of a claim file, as msgspec holds a file to them. (no torch)"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...untrusted import Finite


class FlagsTable(Struct, forbid_unknown_fields=True):
    """What a protocol fixes: flags of `harness run`."""

    params: str = ""
    size: str = ""
    tasks: str = ""
    state_bytes: str = ""
    seq_len: str | int = ""
    batch_size: int = 0
    budget: str = ""
    lr: Finite = 0.0
    seeds: int = 1
    rounds: int = 0
    corpus: str = ""
    tokenizer: str = ""
    dtype: str = ""
    unaudited: bool = False


class ProtocolTable(FlagsTable, forbid_unknown_fields=True):
    """[protocol.NAME]: the flags, where and of what they are measured, and what shows that they can tell."""

    scale: str = "cpu"
    quick: bool = False
    plugins: list[str] = []
    positive: str = ""
    positive_quantity: str = ""
    negative: str = ""
    negative_quantity: str = ""
    uncontrolled: str = ""


class TestTable(ProtocolTable, forbid_unknown_fields=True):
    """[[claim.test]]: a rule; what it says of the protocol goes before what the named one says.

    Several protocols are as many tests.
    """

    form: str = ""
    subject: str = "published"
    because: str = ""
    protocol: str | list[str] = ""
    to_protocol: str = ""
    kind: str = ""
    quantity: str = ""
    of: str = ""
    to: str = ""
    to_quantity: str = ""
    at: int = 0
    below: Finite = 0.0
    above: Finite = 0.0
    equals: Finite = 0.0
    margin: Finite = 0.0


class ClaimTable(Struct, forbid_unknown_fields=True):
    """[[claim]]."""

    id: str = ""
    quote: str = ""
    source: str = ""
    section: str = ""
    failure: str = ""
    detail: str = ""
    composed: bool = False
    unmeasurable: str = ""
    no_claim: str = ""
    test: list[dict[str, Any]] = []


class ClaimsTable(Struct, forbid_unknown_fields=True):
    """The whole file."""

    claim: list[dict[str, Any]] = []
    protocol: dict[str, dict[str, Any]] = {}


FLAGS = FlagsTable.__struct_fields__
CONTROLS = ("positive", "positive_quantity", "negative", "negative_quantity")
