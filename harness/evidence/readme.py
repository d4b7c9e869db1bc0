"""The generated parts of README.md: output, plugins, verdicts, the tutorial plugin. `make readme` writes them.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; a test checks that it is what this module makes of
`results/reference/`, so no number in the README can go stale.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ..conformance.scaffold import MODEL, SPEC
from ..errors import FileError
from ..registry import Registry, load
from ..store import Row, Store
from .claims.table import count_line, markdown
from .claims.verdict import load as load_verdicts
from .format import format_value
from .report.cited import rows_of
from .tables.console import print_report

REFERENCE = Path("results/reference/cpu")
DEMO = Path("results/reference/demo")
CLAIMS = Path("results/reference/claims")

# heading, (suite, metric, phase, length or None for the one there is)
COLUMNS = (
    ("bits/byte", ("perplexity", "bits_per_byte", "score", None)),
    ("train tokens/s, T=1024", ("throughput", "tokens_per_s", "train", 1024)),
    ("decode tokens/s, T=1024", ("throughput", "tokens_per_s", "decode", 1024)),
    ("training peak, T=1024", ("memory", "peak_bytes", "train", 1024)),
    ("state at T=1024", ("memory", "state_bytes_per_sequence", "decode", 1024)),
    ("time exponent", ("scaling", "exponent", "train", None)),
)


def stored_rows(directory: Path, registry: Registry) -> list[Row]:
    """Every row of a run, the derived ones made anew."""
    return rows_of(Store(directory, create=False).results(), registry)


def demo_part(registry: Registry, directory: Path) -> str:
    """What `make demo` printed on the reference machine."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(out):
        print_report(stored_rows(directory, registry), list(registry.suites.values()), Path("results/demo"))
    out.seek(0)
    lines = [line.rstrip() for line in out.read().splitlines()]
    return "```text\n" + "\n".join(lines).strip("\n") + "\n```"


def plugins_part(registry: Registry, directory: Path) -> str:
    """A Markdown table: a row per measured plugin and options."""
    rows = stored_rows(directory, registry)
    order = list(registry.models)
    shown = {place[:3] for _, place in COLUMNS}
    measured = {(row.plugin, row.options) for row in rows if (row.suite, row.metric, row.phase) in shown}
    names = sorted(measured, key=lambda name: (order.index(name[0]), name[1]))
    lines = ["| plugin | what it is | params | " + " | ".join(heading for heading, _ in COLUMNS) + " |",
             "|---|---|---|" + "---|" * len(COLUMNS)]
    for plugin, options in names:
        own = [row for row in rows if (row.plugin, row.options) == (plugin, options)]
        params = next((row.params for row in own if row.params), 0)
        label = f"`{plugin}{':' + options if options else ''}`"
        cells = [_cell(own, *place) for _, place in COLUMNS]
        lines.append(f"| {label} | {registry.models[plugin].summary} | {format_value(float(params))} | "
                     + " | ".join(cells) + " |")
    first = next(row for row in rows if row.metric == "bits_per_byte" and row.bytes_seen)
    return "\n".join(lines) + (
        f"\n\nOne CPU thread, trained in {first.dtype}; `{first.corpus}`, {(first.bytes_seen or 0) / 1e6:.1f} MB seen, "
        f"T={first.seq_len}; `±` is half of the 95 % interval. From `{REFERENCE}`; `make readme` makes this table.")


def _cell(rows: Sequence[Row], suite: str, metric: str, phase: str, length: int | None) -> str:
    own = [r for r in rows if (r.suite, r.metric, r.phase) == (suite, metric, phase) and length in (None, r.seq_len)]
    measured = [r for r in own if r.value is not None]
    if not measured:
        failed = next((r for r in rows if r.suite == suite and r.status != "ok"), None)
        return failed.status if failed else "–"
    value = sum(r.value or 0.0 for r in measured) / len(measured)
    low, high = (measured[0].ci_low, measured[0].ci_high) if len(measured) == 1 else (None, None)
    return format_value(value, measured[0].unit, low, high)


def verdicts_part(directory: Path) -> str:
    """How many claims became of what, and every verdict in a table that opens. Raises FileError without verdicts."""
    verdicts = load_verdicts(directory)
    if not verdicts:
        raise FileError(f"{directory} holds no verdicts; `harness reproduce --all --out {directory}` gives them")
    return "\n".join([
        f"{len({one.claim for one in verdicts})} claims: {count_line(verdicts)}. From `{CLAIMS}`.", "", "<details>",
        "<summary>Every claim, its verdict and its number</summary>", "", markdown(verdicts), "", "</details>"])


def plugin_part() -> str:
    texts = [text.format(name="mymodel", title="Mymodel").strip() for text in (SPEC, MODEL)]
    return "\n\n".join(f"```python\n{text}\n```" for text in texts)


def render(text: str, root: Path) -> str:
    """`text` with every generated part made anew from the results under `root`."""
    registry = load()
    parts = {
        "demo": demo_part(registry, root / DEMO), "plugins": plugins_part(registry, root / REFERENCE),
        "plugin": plugin_part(), "verdicts": verdicts_part(root / CLAIMS),
    }
    for name, part in parts.items():
        pattern = re.compile(rf"<!-- {name} -->\n(?:.*?<!-- /{name} -->\n)?", re.DOTALL)
        block = f"<!-- {name} -->\n\n{part}\n\n<!-- /{name} -->\n"
        text, count = pattern.subn(block.replace("\\", r"\\"), text, count=1)
        if not count:
            raise ValueError(f"README.md has no <!-- {name} -->")
    return text


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    path = root / "README.md"
    path.write_text(render(path.read_text(encoding="utf-8"), root), encoding="utf-8")


if __name__ == "__main__":
    main()
