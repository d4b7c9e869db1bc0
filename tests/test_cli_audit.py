"""`harness audit`: which forms `all` takes, what the table says of each, and which of them decide the exit code."""

from typer.testing import CliRunner

from harness.cli import app
from harness.commands import audit as cli_audit
from harness.commands.audit import every_form, print_in_full, print_table
from harness.registry import load
from harness.store import CellResult, Row

FAILED = {"status": "audit_failed", "metric": "split law", "value": 1.0}


def result(label, *rows):
    name, _, options = label.partition(":")
    cell = {"id": label, "seq_len": 64, "options": dict(option.split("=") for option in options.split(":") if option)}
    return CellResult(cell, [Row(plugin=name, options=options, **row) for row in rows])


def test_all_is_every_model_beside_its_published_form():
    forms = every_form(load())
    assert [form for form in forms if form.startswith(("ssm", "wave"))] == ["ssm", "wave", "wave:as_published=true"]
    assert set(load().models) <= set(forms)


def test_the_table_names_every_failed_check_once(capsys):
    print_table([
        result("good", {"metric": "split law", "value": 2e-6}, {"metric": "determinism", "value": 0.0}),
        result("bad:as_published=true",
               {**FAILED, "reason": "cut at 3"}, {**FAILED, "reason": "cut at 9"},
               {**FAILED, "metric": "batch independence", "reason": "rows mix"}),
        result("slow", {"status": "timeout", "reason": "longer than 1 s"}),
    ])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines == [
        "good passed a split changes logits by 2e-06 std", "bad:as_published=true failed split law: cut at 3",
        "batch independence: rows mix", "slow timeout longer than 1 s"]


def test_published_forms_are_shown_and_do_not_count(toy, monkeypatch):
    """`all` over a model whose published form fails exits with 0; the same form by name with 1."""
    monkeypatch.setattr(cli_audit, "PUBLISHED", "fault")
    monkeypatch.setattr(cli_audit, "every_form", lambda registry: ["toy", "toy:fault=leak"])

    def run(selector):
        return CliRunner().invoke(app, ["audit", selector, "-p", str(toy), "--seq-len", "9"])

    everything = run("all")
    assert everything.exit_code == 0
    assert "suffix perturbation: changing tokens" in everything.output
    assert run("toy:fault=leak").exit_code == 1
    assert run("toy:fault=none").exit_code == 0


def test_a_failed_model_is_told_by_what_fails(capsys):
    """The count of failed checks is no check that passes."""
    print_in_full([result("bad", {"metric": "determinism", "value": 0.0}, {**FAILED, "reason": "cut at 3"},
                          {"metric": "failed_checks", "value": 1.0, "unit": "checks"})])
    out = capsys.readouterr().out
    assert "failed_checks" not in out
    assert "  FAIL  split law: cut at 3" in out
    assert out.endswith("  failed: split law; no score of this model would be believed\n")


def test_a_warning_without_a_size_is_a_note(capsys):
    """Nothing was compared, so no change is "inf std"."""
    warned = {"metric": "live parameters", "value": float("inf"), "reason": "no gradient reaches 3 numbers in unused"}
    print_in_full([result("good", {"metric": "determinism", "value": 0.0}, warned)])
    out = capsys.readouterr().out
    assert "  note  live parameters        no gradient reaches 3 numbers in unused" in out
    assert "inf" not in out and "passed" in out
