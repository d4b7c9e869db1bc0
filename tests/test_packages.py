"""Models of packages of their own: they pass an audit, and say how they are read."""

import pytest

from harness.audit.auditor import audit
from harness.build import build
from harness.errors import UsageError
from harness.options import make_config
from harness.registry import load


@pytest.mark.parametrize(("name", "package", "note"), [
    ("mingru", "minGRU_pytorch", "read token by token after a state"), ("mambapy", "mambapy", "the text is read anew"),
    ("x-transformers", "x_transformers", ""), ("xlstm", "xlstm", "read token by token")])
def test_a_package_of_its_own_passes_the_audit_and_says_how_it_is_read(name, package, note):
    pytest.importorskip(package)
    model = build(load().models[name], {}, 37, params=12_000).model
    report = audit(model, [17], jitter=0.02)
    assert report.passed, report.summary()
    assert model.note().startswith(note) and bool(model.note()) is bool(note)


def test_titans_passes_the_audit_and_says_that_its_first_memory_is_not_learned():
    pytest.importorskip("titans_pytorch")
    options = {"dim": "16", "layers": "1", "segment": "4"}
    model = build(load().models["titans"], options, 37).model
    report = audit(model, [9], jitter=0.02)                 # two segments and a token
    assert report.passed, report.summary()
    assert "memory_model" in report.summary() and "not learned" in model.note()


@pytest.mark.parametrize(("name", "options", "reason"), [
    ("xlstm", {"slstm": "3"}, "slstm must name layers from 0 to 2"),
    ("xlstm", {"dim": "30"}, r"dim=30 must be a multiple of 4 \* heads, heads=4"),
    ("titans", {"dim": "30"}, r"dim=30 must be a multiple of 2 \* heads, heads=4"),
])
def test_what_a_package_does_not_take_is_refused_in_one_line(name, options, reason):
    with pytest.raises(UsageError, match=reason):
        make_config(load().models[name], options)
