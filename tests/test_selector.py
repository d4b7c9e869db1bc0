"""Selectors: whatever a name, a path or a value holds, the text of a selector is read back as that selector."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.selector import Selector, cut, join_selectors, parse_selector, split_selectors

texts = st.text(st.sampled_from("ab:@=,\"' \t\nü\x1b") | st.characters(), max_size=12)
filled = texts.filter(bool)
options = st.dictionaries(st.from_regex(r"[a-z_]\w{0,3}", fullmatch=True).filter(str.isidentifier), texts, max_size=3)
settings = options.map(lambda found: tuple(sorted(found.items())))


@given(filled, settings, texts)
def test_a_model_is_read_back(name, settings, checkpoint):
    selector = Selector(name, "", settings, checkpoint)
    assert parse_selector(str(selector)) == selector


@given(filled, texts, settings)
def test_a_corpus_is_read_back(name, argument, settings):
    selector = Selector(name, argument, settings)
    assert parse_selector(str(selector), argument=True) == selector


@given(st.lists(st.builds(Selector, filled, st.just(""), settings, texts), max_size=4),
       st.lists(st.builds(Selector, filled, texts, settings), max_size=4))
def test_a_list_is_read_back(models, corpora):
    for selectors, argument in ((models, False), (corpora, True)):
        for text in (",".join(map(str, selectors)), " , ".join(map(str, selectors)),
                     join_selectors(map(str, selectors), argument=argument)):
            assert [parse_selector(one, argument=argument) for one in split_selectors(text)] == selectors


@pytest.mark.parametrize(("text", "argument"), [
    ("ssm", False), ("phasefield:episodic=false:layers=2", False), ("ssm@runs/x:y@z=1", False), ("ssm@it's", False),
    ("file:notes.txt", True), ("file:C:notes.txt:heldout=a@b.txt", True), ("file:it's \"this\".txt", True),
    ("file:a b[c].txt", True), ("hf:org/name", True), ("file:~/a.txt:name=it's", True),
])
def test_what_needed_no_quotes_is_written_as_before(text, argument):
    """The text of a selector takes part in the identity of cells."""
    assert str(parse_selector(text, argument=argument)) == text


@pytest.mark.parametrize(("text", "name", "argument"), [
    ('file:"a,b.txt"', "a,b.txt", True), ("file:'a,b.txt'", "a,b.txt", True), ('file:"lr=3.txt"', "lr=3.txt", True),
    ('file:"say ""hi"".txt"', 'say "hi".txt', True), ('ssm@"runs/a,b"', "runs/a,b", False),
    ("ssm:note='a:b@c,d'", "a:b@c,d", False),
])
def test_quotes_keep_separators_in(text, name, argument):
    for one in split_selectors(f"first, {text},last")[1:2]:
        selector = parse_selector(one, argument=argument)
        assert name in (selector.argument, selector.checkpoint, *dict(selector.options).values())


def test_an_item_of_a_list_in_a_file_is_one_selector():
    assert split_selectors(join_selectors(["file:a,b.txt", "pydoc"], argument=True)) == ['file:"a,b.txt"', "pydoc"]
    assert join_selectors(["ssm", "wave:heads=2"]) == "ssm,wave:heads=2"


@pytest.mark.parametrize("text", ['file:"a', "file:'a\"", 'a,"b', 'ssm@"'])
def test_a_quote_that_is_not_closed_is_told(text):
    with pytest.raises(UsageError, match="a quote is not closed in"):
        cut(text, ",")


def test_what_follows_a_closing_quote_is_told():
    with pytest.raises(UsageError, match="ends before it does; a doubled quote is one within"):
        parse_selector('file:"a"b.txt', argument=True)
