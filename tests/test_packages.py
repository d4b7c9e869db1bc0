"""Models of packages of their own: they pass an audit, and say how they are read."""

import pytest

from harness.audit.auditor import audit
from harness.build import build
from harness.registry import load


@pytest.mark.parametrize(("name", "package", "note"), [
    ("mingru", "minGRU_pytorch", "read token by token after a state"), ("mambapy", "mambapy", "the text is read anew"),
    ("x-transformers", "x_transformers", "")])
def test_a_package_of_its_own_passes_the_audit_and_says_how_it_is_read(name, package, note):
    pytest.importorskip(package)
    model = build(load().models[name], {}, 37, params=12_000).model
    report = audit(model, [17], jitter=0.02)
    assert report.passed, report.summary()
    assert model.note().startswith(note) and bool(model.note()) is bool(note)
