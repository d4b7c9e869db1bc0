"""What a report is made of, before it is a page or Markdown. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...reading import Run
from ..claims.verdict import Verdict
from ..drawing.drawing import Drawing
from .citation import CitedRow
from .versus import Versus

TAKEAWAY = "takeaway"                       # the kind of a span that holds one


@dataclass(frozen=True)
class TextSpan:
    """A piece of text: its kind, what it links to ("#row-12"), what is read on hovering; `line`: it begins one."""

    text: str
    kind: str = ""
    href: str | None = None
    title: str = ""
    line: bool = False


@dataclass(frozen=True)
class TableCell:
    """A place of a table; `order` is what it is sorted by, its text where that is None."""

    spans: tuple[TextSpan, ...] = ()
    order: float | None = None

    @property
    def text(self) -> str:
        return "".join("\n" * (span.line and number > 0) + span.text for number, span in enumerate(self.spans))


def plain(text: object, kind: str = "", href: str | None = None, order: float | None = None) -> TableCell:
    """A cell of one span."""
    return TableCell((TextSpan(str(text), kind, href),), order)


@dataclass
class Table:
    """A table under its name; `numeric` are the columns set flush right, `ids` the anchors of its rows.

    `folded` says what it is where a page shows it on demand only.
    """

    name: str
    headings: Sequence[str]
    rows: list[list[TableCell]]
    numeric: frozenset[int] = frozenset()
    caption: str = ""
    notes: Sequence[str] = ()
    ids: Sequence[str] = ()
    folded: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawing under its name, with what is to know about it."""

    name: str
    drawing: Drawing
    caption: str = ""


@dataclass(frozen=True)
class Paragraph:
    spans: tuple[TextSpan, ...]


@dataclass(frozen=True)
class Code:
    """Text to copy, such as commands."""

    text: str
    language: str = "sh"


Block = Table | Figure | Paragraph | Code


@dataclass
class Section:
    name: str
    title: str
    intro: str = ""
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Document:
    """A report; `question` is what it answers. Beside its sections stands what they were made of: runs, plugins beside
    the baseline, verdicts, the rows that are shown, and how many are left out."""

    title: str
    question: str
    facts: Sequence[str]
    sections: list[Section]
    runs: Sequence[Run] = ()
    pairs: Sequence[Versus] = ()
    verdicts: Sequence[Verdict] = ()
    rows: Sequence[CitedRow] = ()
    left_out: int = 0

    @property
    def takeaways(self) -> list[str]:
        """What is decided, a sentence for each run."""
        return [block.spans[0].text for section in self.sections for block in section.blocks
                if isinstance(block, Paragraph) and block.spans[:1] and block.spans[0].kind == TAKEAWAY]
