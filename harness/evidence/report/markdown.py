"""A report as Markdown, its drawings as SVG files beside it. (no torch)"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from ...errors import FileError
from ...writing import write_atomically
from ..drawing import vega
from .document import Block, Code, Document, Figure, Paragraph, Section, Table, TableCell, TextSpan

SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


def write(document: Document, path: Path) -> list[Path]:
    """Write the report, and its figures into a folder of its name where the plotting library is installed. Every file
    written. Raises FileError."""
    folder = path.with_name(f"{path.stem}-figures")
    figures = [(section, block) for section in document.sections for block in section.blocks
               if isinstance(block, Figure) and vega.available()]
    names = {id(block): f"{number:02}-{file_name(f'{section.title} {block.name}')}.svg"
             for number, (section, block) in enumerate(figures, 1)}
    try:
        if figures:
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write {folder}: {error.strerror}") from None
    drawn = [block.drawing.save(folder / names[id(block)]) for _, block in figures]
    write_atomically(path, "\n\n".join(paragraphs(document, folder.name, names)) + "\n")
    return [path, *drawn]


def render_alone(document: Document) -> str:
    """The report as one text; of its figures their names."""
    return "\n\n".join(paragraphs(document)) + "\n"


def file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:60]


def paragraphs(document: Document, folder: str = "", names: Mapping[int, str] = MappingProxyType({})) -> Iterator[str]:
    """The paragraphs of the report; `names` are the files of its figures in `folder`."""
    yield f"# {escape(document.title)}"
    yield f"**{escape(document.question)}**"
    yield escape(" · ".join(document.facts))
    if not vega.available():
        yield escape(vega.MISSING)
    for section in document.sections:
        yield from render_section(section, folder, names)


def render_section(section: Section, folder: str, names: Mapping[int, str]) -> Iterator[str]:
    yield f"## {escape(section.title)}"
    if section.intro:
        yield escape(section.intro)
    for block in section.blocks:
        if isinstance(block, Figure) and (names or not folder):
            name = escape(block.name)
            drawn = f"![{name}]({folder}/{names[id(block)]})" if names else f"*Figure: {name}*, drawn with -o FILE.md"
            yield drawn + f"\n\n{escape(block.caption)}" * bool(block.caption)
        elif not isinstance(block, Figure):
            yield from render_block(block)


def render_block(block: Block) -> Iterator[str]:
    if isinstance(block, Code):
        fence = max(["```", *(run + "`" for run in re.findall("`{3,}", block.text))], key=len)
        yield f"{fence}{block.language}\n{block.text}\n{fence}"
    elif isinstance(block, Paragraph):
        yield " · ".join(map(render_span, block.spans))
    elif isinstance(block, Table):
        if block.folded:
            yield f"*{escape(block.folded)}*"
        if block.caption:
            yield escape(block.caption)
        rule = ["---:" if column in block.numeric else "---" for column in range(len(block.headings))]
        lines = [map(escape, block.headings), rule, *(render_row(block, number) for number in range(len(block.rows)))]
        yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
        yield from map(escape, block.notes)


def render_row(table: Table, number: int) -> list[str]:
    """The cells of a row; its anchor stands in the first."""
    cells = [render_cell(cell) for cell in table.rows[number]]
    if table.ids:
        cells[0] = f'<a id="{table.ids[number]}"></a>{cells[0]}'
    return cells


def render_cell(cell: TableCell) -> str:
    return "".join("<br>" * (span.line and number > 0) + render_span(span) for number, span in enumerate(cell.spans))


def render_span(span: TextSpan) -> str:
    """Text, bold where it is the best, a link where it has a row."""
    text = escape(span.text)
    text = f"**{text}**" if span.kind == "best" and span.text.strip("*") else text
    return f"[{text}]({span.href})" if span.href else text


def escape(text: str) -> str:
    return SPECIAL.sub(r"\\\1", " ".join(text.split(" "))).replace("\n", " ").replace("\r", " ")
