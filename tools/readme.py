"""The generated parts of README.md, of the documentation and of the reference results. `make readme` writes them.

A part stands between `<!-- NAME -->` and `<!-- /NAME -->`; a test checks that it is what this tool makes of
`results/reference/` and of the plugins and suites that are registered, so no number can go stale.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

from harness.plugins.peers.architectures import ARCHITECTURES

from harness.conformance.scaffold import MODEL, SPEC
from harness.errors import FileError
from harness.evidence.claims.claim import Claim
from harness.evidence.claims.file import load_claims
from harness.evidence.claims.overview import by_system, claims_drawing, overview
from harness.evidence.claims.standing import standing_counts
from harness.evidence.claims.verdict import Verdict
from harness.evidence.claims.verdict_file import load_verdicts
from harness.evidence.comparison import recorded
from harness.evidence.drawing.drawing import Drawing
from harness.evidence.format import format_value
from harness.evidence.tables.console import print_report
from harness.protocol import PROTOCOL
from harness.reading import Run, read_run
from harness.registry import Registry, load
from harness.store import Row

from .ladders import ladder_part
from .markdown import fenced, heading, line
from .peers import peers_part
from .tasks import abilities_part
from .values import BASELINE, beside_baseline, value_cell

REFERENCE = Path("results/reference/cpu")
DEMO = Path("results/reference/demo")
CLAIMS = Path("results/reference/claims")
TRANSFORMERS = Path("results/reference/transformers")

# heading, (suite, metric, phase, length or None for the one there is)
COLUMNS = (
    ("bits/byte", ("perplexity", "bits_per_byte", "score", None)),
    ("train tokens/s, T=1024", ("throughput", "tokens_per_s", "train", 1024)),
    ("decode tokens/s, T=1024", ("throughput", "tokens_per_s", "decode", 1024)),
    ("training peak, T=1024", ("memory", "peak_bytes", "train", 1024)),
    ("state at T=1024", ("memory", "state_bytes_per_sequence", "decode", 1024)),
    ("time exponent", ("scaling", "exponent", "train", None)),
)
AUDITED = (16, 17, 40)                  # tokens
LEFT_OUT = ("local slope",)             # of the picture in the README, which is short


def stored_rows(directory: Path, registry: Registry) -> list[Row]:
    """Every row of a run, the derived ones made anew."""
    return read_run(directory, registry).rows


def demo_lines(registry: Registry, directory: Path) -> list[str]:
    """What `make demo` printed on the reference machine."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(out):
        print_report(stored_rows(directory, registry), list(registry.suites.values()), Path("results/demo"))
    out.seek(0)
    return [line.rstrip() for line in out.read().strip("\n").splitlines()]


def demo_part(registry: Registry, root: Path) -> str:
    return fenced(demo_lines(registry, root / DEMO))


def picture_part(registry: Registry, root: Path) -> str:
    """The tables of the demo, without its plots and without LEFT_OUT."""
    blocks = [block.strip("\n") for block in re.split(r"\n\n+", "\n".join(demo_lines(registry, root / DEMO)))]
    plots = next(index for index, block in enumerate(blocks) if "│" in block)
    return fenced("\n\n".join(block for block in blocks[:plots] if not block.strip().startswith(LEFT_OUT)).splitlines())


def plugins_part(registry: Registry, root: Path) -> str:
    """A Markdown table: a row per measured plugin and options."""
    run = read_run(root / REFERENCE, registry)
    rows = run.rows
    order = list(registry.models)
    shown = {place[:3] for _, place in COLUMNS}
    measured = {(row.plugin, row.options) for row in rows if (row.suite, row.metric, row.phase) in shown}
    names = sorted(measured, key=lambda name: (order.index(name[0]), name[1]))
    (first_heading, first_place), *others = COLUMNS
    lines = [*heading("plugin", "what it is", "params", first_heading, f"x {BASELINE}", *(name for name, _ in others))]
    for plugin, options in names:
        own = [row for row in rows if (row.plugin, row.options) == (plugin, options)]
        params = next((row.params for row in own if row.params), 0)
        label = f"`{plugin}{':' + options if options else ''}`"
        beside = beside_baseline(run, registry, f"{plugin}{':' + options if options else ''}", *first_place[:3])
        lines.append(line(label, registry.models[plugin].summary, format_value(float(params)),
                          value_cell(own, *first_place, interval=False), beside,
                          *(value_cell(own, *place) for _, place in others)))
    first = next(row for row in rows if row.metric == "bits_per_byte" and row.bytes_seen)
    return "\n".join(lines) + (
        f"\n\nOne CPU thread, trained in {first.dtype}; `{first.corpus}`, {(first.bytes_seen or 0) / 1e6:.1f} MB seen, "
        f"T={first.seq_len}; `±` is half of a 95 % interval, and bits/byte stand beside the baseline's with theirs, "
        f"paired by document, of one seed. From `{REFERENCE}`; `make readme` makes this table.{_as_of(run)}")


def _as_of(run: Run) -> str:
    """Where numbers are older than the protocol, a sentence that says so."""
    editions = {int(result.cell.get("engine", 0)) for result in run.results} - {PROTOCOL}
    if not editions:
        return ""
    return (f" Measured by protocol {', '.join(map(str, sorted(editions)))}, with the plugins as they were then; the "
            f"protocol is {PROTOCOL} now.")


def verdicts_of(directory: Path) -> list[Verdict]:
    """The verdicts beside a run. Raises FileError where there are none."""
    verdicts = load_verdicts(directory)
    if not verdicts:
        raise FileError(f"{directory} holds no verdicts; `harness reproduce --all --out {directory}` gives them")
    return verdicts


def known_claims(registry: Registry) -> dict[str, Claim]:
    claims, problems = load_claims(registry)
    if problems:
        raise FileError("; ".join(problems))
    return claims


def count_part(registry: Registry, root: Path) -> str:
    """What became of the claims, of either subject, by present rules."""
    found = "; ".join(standing_counts(known_claims(registry), verdicts_of(root / CLAIMS)))
    return f"{found[:1].upper()}{found[1:]}."


def verdicts_part(registry: Registry, root: Path) -> str:
    """Every verdict, by system."""
    return overview(registry, known_claims(registry), verdicts_of(root / CLAIMS))


def claim_plots(registry: Registry, root: Path) -> dict[str, Drawing]:
    """The plots of that page by file name."""
    systems = by_system(known_claims(registry), verdicts_of(root / CLAIMS))
    drawn = {name: claims_drawing(name, *found) for name, found in systems.items()}
    return {f"{name}.svg": drawing for name, drawing in drawn.items() if drawing}


def scaffold_part(registry: Registry, root: Path) -> str:
    """The two modules that `harness new mymodel` writes."""
    files = (("mymodel/__init__.py", SPEC), ("mymodel/model.py", MODEL))
    return "\n\n".join(f"<!-- file: {name} -->\n\n" + fenced(text.format(
        name="mymodel", title="Mymodel").strip().splitlines(), "python") for name, text in files)


def suites_part(registry: Registry, root: Path) -> str:
    """A row per suite: what it is, what it prints, whether its cells run alone."""
    return "\n".join([*heading("suite", "what it measures", "metrics, the most important first"), *(
        line(f"`{suite.name}`", suite.summary + (" (timed: runs alone)" if suite.timed else ""),
             ", ".join(f"`{metric}`" for metric in suite.primary)) for suite in registry.suites.values())])


def corpora_part(registry: Registry, root: Path) -> str:
    rows = [(f"`{':'.join(filter(None, (spec.name, spec.argument)))}`", spec.summary, spec.extra)
            for spec in registry.corpora.values()]
    return "\n".join([*heading("corpus", "what it is", "extra"), *(line(*row) for row in rows)])


def tokenizers_part(registry: Registry, root: Path) -> str:
    rows = [(f"`{spec.name}`", spec.summary, spec.extra) for spec in registry.tokenizers.values()]
    return "\n".join([*heading("tokenizer", "what it is", "extra"), *(line(*row) for row in rows)])


def transformers_part(registry: Registry, root: Path) -> str:
    """Which architectures pass the audit when a chunk is fed whole, and a row for what was found in each other one."""
    run = read_run(root / TRANSFORMERS, registry)
    versions = [", ".join(sorted({record["packages"][name] for record in run.environments.values()}))
                for name in ("transformers", "torch")]
    found: dict[tuple[str, bool], dict[str, list[Row]]] = {}        # by architecture, and whether it is the default
    for result in run.results:
        options = dict(result.cell["options"])
        checks = found.setdefault((options["arch"], "read" not in options), {})
        for row in result.rows:
            if row.status != "ok":
                checks.setdefault(row.metric or row.status, []).append(row)
    whole = {arch: found[arch, "read" not in ARCHITECTURES[arch]] for arch, default in found if default}
    passed, failed = ([arch for arch in whole if bool(whole[arch]) == bad] for bad in (False, True))
    lines = [*heading("architecture", "check", "at 16 tokens", "17", "40", "what is found", "as the plugin reads it")]
    for arch in failed:
        default = ", ".join(found[arch, True]) + " fails" if found[arch, True] else "passes"
        for check, rows in whole[arch].items():
            sizes = {row.seq_len: format_value(row.value) for row in rows if row.value is not None}
            lines.append(line(
                f"`{arch}`", check, *(sizes.get(length, "–") for length in AUDITED), rows[-1].reason, default))
    return (
        f"transformers {versions[0]} on torch {versions[1]}: of {len(whole)} architectures {len(passed)} pass every "
        "check when fed whole: "
        + ", ".join(f"`{arch}`" for arch in passed) + ".\n\n" + "\n".join(lines)
        + f"\n\nSizes in standard deviations of the logits. From `{TRANSFORMERS}`; `make readme` makes this table.")


Part = Callable[[Registry, Path], str]
PAGES: dict[Path, dict[str, Part]] = {
    Path("README.md"): {"picture": picture_part, "plugins": plugins_part, "count": count_part},
    Path("docs/getting-started.md"): {"demo": demo_part},
    Path("docs/plugins.md"): {"scaffold": scaffold_part},
    Path("docs/suites.md"): {"suites": suites_part},
    Path("docs/corpora.md"): {"corpora": corpora_part, "tokenizers": tokenizers_part},
    Path("docs/abilities.md"): {"abilities": abilities_part},
    Path("docs/peers.md"): {"peers": peers_part},
    Path("docs/phasefield.md"): {"ladder": ladder_part},
    Path("docs/transformers.md"): {"transformers": transformers_part},
    CLAIMS / "README.md": {"verdicts": verdicts_part},
}


def render(text: str, parts: dict[str, Part], root: Path, registry: Registry | None = None) -> str:
    """`text` with every generated part made anew. Raises ValueError where it has no place for one."""
    registry = registry or load()
    for name, part in parts.items():
        pattern = re.compile(rf"<!-- {name} -->\n(?:.*?<!-- /{name} -->\n)?", re.DOTALL)
        block = f"<!-- {name} -->\n\n{part(registry, root)}\n\n<!-- /{name} -->\n"
        text, count = pattern.subn(block.replace("\\", r"\\"), text, count=1)
        if not count:
            raise ValueError(f"there is no <!-- {name} -->")
    return text


def recorded_scores(registry: Registry, root: Path) -> str:
    """The scores that `harness power` knows where nothing else is named."""
    return recorded.scores_text(recorded.scores_of(read_run(root / CLAIMS, registry).results))


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    registry = load()
    for page, parts in PAGES.items():
        path = root / page
        path.write_text(render(path.read_text(encoding="utf-8"), parts, root, registry), encoding="utf-8")
    (root / CLAIMS / recorded.FILE).write_text(recorded_scores(registry, root), encoding="utf-8")
    for name, drawing in claim_plots(registry, root).items():
        drawing.save(root / CLAIMS / name)


if __name__ == "__main__":
    main()
