"""Specs: selectors are parsed or refused whole; a spec that could not be selected is refused by its plugin."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import PluginError, UsageError
from harness.selector import Selector, parse_selector
from harness.specs import ModelSpec, missing, require


@pytest.mark.parametrize(("text", "selector"), [
    ("baseline", Selector("baseline")),
    (" baseline ", Selector("baseline")),
    ("m:b=2:a=1", Selector("m", options=(("a", "1"), ("b", "2")))),
    ("m:path=a=b", Selector("m", options=(("path", "a=b"),))),
])
def test_selectors_are_parsed(text, selector):
    assert parse_selector(text) == selector


@pytest.mark.parametrize(("text", "selector"), [
    ("file:/a b/c.txt", Selector("file", "/a b/c.txt")),
    ("file:C:/x.txt:field=body", Selector("file", "C:/x.txt", (("field", "body"),))),
    ("file:/tmp/a=b.txt", Selector("file", "/tmp/a=b.txt")),
    ("markov:seed=3", Selector("markov", "", (("seed", "3"),))),
])
def test_arguments_are_parsed_where_there_is_one(text, selector):
    assert parse_selector(text, argument=True) == selector


@pytest.mark.parametrize("text", [
    "", ":", ":a=1", "m:", "m:a", "m:a=", "m:=1", "m:1a=2", "m: a=1", "m:a=1:", "m::a=1", "m:a-b=1", "@x", "m@",
])
def test_malformed_selectors_are_refused(text):
    with pytest.raises(UsageError, match="malformed"):
        parse_selector(text)


def test_an_option_given_twice_is_refused():
    with pytest.raises(UsageError, match="'a' is given twice"):
        parse_selector("m:a=1:a=2")


printable = st.characters(blacklist_characters=":=@", blacklist_categories=("Zs", "Zl", "Zp", "Cc", "Cs"))
words = st.text(printable, min_size=1)
options = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True), words, max_size=3)


@settings(max_examples=50, deadline=None)
@given(words, options, st.just("") | words)
def test_a_selector_reads_back_as_it_is_written(name, options, checkpoint):
    selector = Selector(name, options=tuple(sorted(options.items())), checkpoint=checkpoint)
    assert parse_selector(str(selector)) == selector


@given(st.text())
def test_any_text_is_a_selector_or_a_usage_error(text):
    for argument in (False, True):
        try:
            selector = parse_selector(text, argument=argument)
        except UsageError:
            continue
        assert selector.name


def model(**fields):
    given = {"name": "m", "target": "a:B", "config": "a:C", "family": "quantum", "summary": "", "source": ""}
    return ModelSpec(**given | fields)


@pytest.mark.parametrize("fields", [
    {"name": ""}, {"name": "a b"}, {"name": "a:b"}, {"name": "a,b"}, {"name": "-a"},
    {"target": "a.B"}, {"config": ":C"}, {"kernels": "a:"}, {"family": "magic"},
])
def test_a_spec_that_no_command_line_could_use_is_refused(fields):
    with pytest.raises(PluginError):
        model(**fields)


def test_a_missing_dependency_names_the_mend():
    assert missing(model(requires=("json", "sys"))) == ""
    assert missing(model(requires=("no_such_package",))) == "m needs no_such_package: pip install no_such_package"
    assert missing(model(requires=("no_such.part",), extra="quantum")).endswith("pip install 'qllm-harness[quantum]'")
    with pytest.raises(PluginError, match="no_such_package"):
        require(model(requires=("no_such_package",)))
