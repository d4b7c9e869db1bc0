"""Claim files: read as written, told in one line where they are malformed; those of the built-in plugins can be run."""

import functools

import pytest

from harness.errors import FileError, HarnessError, UsageError
from harness.evidence.claims.file import load_claims, parse_claims, select
from harness.reading import Run
from harness.registry import load
from harness.run.plan import make_plan
from harness.run.request import RunOptions, make_request
from harness.store import CellResult

CLAIM = """
[[claim]]
id = "ours"
quote = "half the memory"
source = "a paper"
section = "Abstract"
failure = "It takes as much."
"""
TEST = """
[[claim.test]]
kind = "ratio"
quantity = "memory.peak_bytes@train"
of = "ssm"
to = "baseline"
below = 0.5
"""


@pytest.fixture
def parse(tmp_path):
    def read(text):
        path = tmp_path / "claims.toml"
        path.write_text(text)
        return parse_claims(path, "ours")

    return read


@pytest.fixture(scope="module")
def registry():
    return load()


@pytest.fixture(scope="module")
def built_in(registry):
    claims, problems = load_claims(registry)
    assert problems == []
    return claims


def test_a_claim_is_read_as_written(parse):
    claim, = parse(CLAIM + TEST)
    test, = claim.tests
    assert (claim.id, claim.quote, claim.origin, claim.unmeasurable) == ("ours", "half the memory", "ours", "")
    assert (test.scale, test.quick, test.plugins, test.suites) == ("cpu", False, ("ssm", "baseline"), ("memory",))
    assert str(test.rule) == "memory.peak_bytes@train of ssm / baseline < 0.5"
    assert test.sides == (test, test)


def test_a_protocol_is_shared_and_a_test_may_differ(parse):
    shared = '[protocol.small]\nparams = "10k"\nseeds = 3\nscale = "gpu"\n'
    claim, = parse(shared + CLAIM + TEST.replace("kind", 'protocol = "small"\nseeds = 5\nkind'))
    test, = claim.tests
    assert (test.scale, dict(test.flags)) == ("gpu", {"params": "10k", "seeds": 5})


def test_several_protocols_are_as_many_tests(parse):
    shared = '[protocol.a]\nparams = "10k"\n[protocol.b]\nparams = "20k"\n'
    claim, = parse(shared + CLAIM + TEST.replace("kind", 'protocol = ["a", "b"]\nkind'))
    assert [dict(test.flags) for test in claim.tests] == [{"params": "10k"}, {"params": "20k"}]
    assert len({test.rule for test in claim.tests}) == 1


def test_the_two_sides_may_have_protocols_of_their_own(parse):
    shared = '[protocol.a]\nparams = "10k"\n[protocol.b]\nparams = "20k"\n'
    claim, = parse(shared + CLAIM + TEST.replace("kind", 'protocol = "a"\nto_protocol = "b"\nkind'))
    ours, theirs = claim.tests[0].sides
    assert (ours.plugins, dict(ours.flags)) == (("ssm",), {"params": "10k"})
    assert (theirs.plugins, dict(theirs.flags)) == (("baseline",), {"params": "20k"})


def test_controls_are_the_rule_with_another_in_its_place(parse):
    given = 'positive = "ssm:layers=2"\nnegative = "baseline:layers=2"\nbecause = "source"\nsubject = "redesign"\n'
    test = parse(CLAIM + TEST + given)[0].tests[0]
    assert [str(rule) for rule in test.rules] == [
        f"memory.peak_bytes@train of {of} / baseline < 0.5" for of in ("ssm", "ssm:layers=2", "baseline:layers=2")]
    assert test.plugins == ("ssm", "baseline", "ssm:layers=2", "baseline:layers=2")
    assert (test.because, test.subject, test.uncontrolled) == ("source", "redesign", "")


def test_a_control_may_be_another_quantity_of_the_same_plugin(parse):
    given = 'positive_quantity = "kernels.time_s:a"\nnegative = "baseline"\nnegative_quantity = "kernels.time_s:b"\n'
    test = parse(CLAIM + TEST.replace("memory.peak_bytes@train", "kernels.time_s:c") + given)[0].tests[0]
    assert [str(rule) for rule in test.rules[1:]] == [
        "kernels.time_s:a of ssm / baseline < 0.5", "kernels.time_s:b of baseline / baseline < 0.5"]


def test_controls_of_a_protocol_are_those_of_its_tests_unless_they_say_otherwise(parse):
    shared = '[protocol.p]\npositive = "wave"\nnegative = "baseline:layers=2"\n[protocol.q]\nuncontrolled = "exact"\n'
    def read(protocol, more=""):
        return parse(shared + CLAIM + TEST.replace("kind", f'protocol = "{protocol}"\n{more}\nkind'))[0].tests[0]

    assert [rule.of for rule in read("p").rules] == ["ssm", "wave", "baseline:layers=2"]
    assert [rule.of for rule in read("p", 'positive = "brain"').rules] == ["ssm", "brain", "baseline:layers=2"]
    assert (read("p", 'uncontrolled = "exact"').rules[1:], read("q").uncontrolled) == ((), "exact")
    assert read("q", 'positive = "wave"').uncontrolled == ""


def test_the_controls_are_measured_on_both_sides_of_two_protocols(parse):
    shared = '[protocol.a]\nparams = "10k"\n[protocol.b]\nparams = "20k"\n'
    test = TEST.replace("kind", 'protocol = "a"\nto_protocol = "b"\npositive = "wave"\nkind')
    ours, theirs = parse(shared + CLAIM + test.replace('to = "baseline"', ""))[0].tests[0].sides
    assert ours.plugins == theirs.plugins == ("ssm", "wave")


def test_a_quote_may_be_composed_and_no_claim_has_a_reason(parse):
    claim, = parse(CLAIM + 'composed = true\nno_claim = "it is a definition"\n')
    assert (claim.composed, claim.no_claim, claim.tests) == (True, "it is a definition", ())


@pytest.mark.parametrize(("text", "words"), [
    ("[[claim", ["is not TOML"]),
    ("claim = 3\n", ["claim", "must be a list, not an integer"]),
    ("[[clam]]\n", ["clam", "did you mean 'claim'"]),
    (CLAIM, ["claim 'ours', test", "[[claim.test]]", "unmeasurable"]),
    (CLAIM + 'unmeasurable = "why"\n' + TEST, ["claim 'ours', test"]),
    (CLAIM.replace('failure = "It takes as much."', ""), ["claim 'ours', failure", "is missing"]),
    (CLAIM.replace('"ours"', '"two words"') + TEST, ["claim 'two words', id", "one word"]),
    (CLAIM.replace('"ours"', "7") + TEST, ["claim 7, id", "must be text"]),
    (CLAIM + TEST + CLAIM + TEST, ["id: 'ours' is given twice"]),
    (CLAIM + TEST.replace('kind = "ratio"', 'kind = "rate"'), ["claim 'ours', kind", "ratio", "slope", "'rate'"]),
    (CLAIM + TEST.replace("below = 0.5", ""), ["claim 'ours', below", "below, above, equals"]),
    (CLAIM + TEST.replace("below = 0.5", "equals = 1"), ["claim 'ours', equals", "below or above"]),
    (CLAIM + TEST.replace("below = 0.5", 'below = "0.5"'), ["claim 'ours', below", "must be a number"]),
    (CLAIM + TEST.replace('kind = "ratio"', 'kind = "equality"').replace("below", "equals"), ["margin", "is missing"]),
    (CLAIM + TEST.replace('to = "baseline"', ""), ["claim 'ours', to", "ratio"]),
    (CLAIM + TEST.replace('kind = "ratio"', 'kind = "bound"'), ["claim 'ours', to", "bound"]),
    (CLAIM + TEST.replace("memory.peak", "peak"), ["claim 'ours', quantity", "SUITE.METRIC"]),
    (CLAIM + TEST.replace("kind", 'protocol = "none"\nkind'), ["claim 'ours', protocol", "[protocol.none]"]),
    (CLAIM + TEST.replace("kind", 'protocol = ["none"]\nkind'), ["claim 'ours', protocol", "[protocol.none]"]),
    (CLAIM + TEST + 'scale = "tpu"\n', ["claim 'ours', scale", "cpu or gpu"]),
    (CLAIM + TEST + "sedes = 3\n", ["claim 'ours', sedes", "did you mean 'seeds'"]),
    (CLAIM + 'no_claim = "why"\nunmeasurable = "why"\n', ["test", "got unmeasurable and no_claim"]),
    (CLAIM + 'composed = "yes"\nno_claim = "why"\n', ["composed", "must be true or false"]),
    (CLAIM + TEST + 'subject = "ours"\n', ["claim 'ours', subject", "published or redesign", "'ours'"]),
    (CLAIM + TEST + 'positive = "ssm"\n', ["positive: must be another than `of`, which is 'ssm'"]),
    (CLAIM + TEST + 'positive = "wave"\nnegative = "wave"\n', ["negative: is the positive control"]),
    (CLAIM + TEST + 'positive_quantity = "fast"\n', ["positive_quantity", "SUITE.METRIC"]),
    (CLAIM + TEST + 'negative = "wave"\nuncontrolled = "exact"\n', ["uncontrolled: beside negative"]),
    ("[protocol.x]\nsedes = 3\n", ["protocol 'x', sedes", "did you mean 'seeds'"]),
])
def test_a_malformed_file_is_one_line_with_the_place_and_the_mend(parse, text, words):
    with pytest.raises(FileError) as told:
        parse(text)
    line = str(told.value)
    assert "\n" not in line and line.count("claims.toml") >= 1
    assert [word for word in words if word not in line] == []


def test_third_parties_bring_claims_and_a_broken_file_stops_no_other(plugin):
    hook = "import harness\n@harness.hookimpl\ndef harness_claims():\n    return [{!r}]\n"
    good, bad = plugin("good.toml", CLAIM + TEST), plugin("bad.toml", CLAIM)
    files = [plugin(f"{path.stem}.py", hook.format(str(path))) for path in (bad, good)]
    files.append(plugin("raises.py", hook.format("").replace("return ['']", "raise OSError(7)")))
    files.append(plugin("again.py", hook.format(str(good))))
    claims, problems = load_claims(load(files))
    assert claims["ours"].origin in ("good", "again") and len(claims) > 60
    assert sorted(problem.partition(": ")[0].rpartition("/")[2] for problem in problems) == sorted([
        "raises", "bad.toml, claim 'ours', test", "good.toml, claim 'ours', id"])
    load()                                  # the registry of other tests


def test_claims_are_selected_by_id_source_and_plugin(built_in):
    assert [claim.id for claim in select(built_in, ["wave-speed", "wave-speed"])] == ["wave-speed"]
    assert {claim.origin for claim in select(built_in, plugin="brain")} == {"brain"}
    with pytest.raises(UsageError, match="unknown claim 'wave-sped'; did you mean 'wave-speed'"):
        select(built_in, ["wave-sped"])
    with pytest.raises(UsageError, match="unknown source of claims 'seed 9'"):
        select(built_in, source="seed 9")


def protocols_of(scale):
    """What each protocol fixes, with all plugins that it is of: suites, flags, plugins."""
    found = {}
    for claim in load_claims(load())[0].values():
        for side in (side for test in claim.tests if test.scale == scale for side in test.sides):
            found.setdefault((side.suites, side.flags), {}).update(dict.fromkeys(side.plugins))
    return [(suites, dict(flags), list(plugins)) for (suites, flags), plugins in found.items()]


def planned(registry, suites, flags, plugins):
    """Cells, on the text that every Python has: of another one the name is looked up alone."""
    known = {key: str(value) if key == "seq_len" else value for key, value in flags.items() if key != "corpus"}
    options = RunOptions(suite=",".join(suites), plugins=",".join(plugins), device="cpu", **known)
    return make_plan(registry, suites, make_request(registry, options), None, False).cells


def test_every_protocol_for_a_cpu_can_be_planned(registry):
    """Plugins, options, sizes and lengths of the built-in claims are known; what is missing is a library at most."""
    for suites, flags, plugins in protocols_of("cpu"):
        cells = planned(registry, suites, flags, plugins)
        assert {cell.suite for cell in cells} == set(suites)
        assert {cell.get("task", "") for cell in cells} == set(flags.get("tasks", "").split(","))
        registry.corpus(flags.get("corpus", "pydoc"))


def test_every_rule_finds_the_cells_of_its_plugins(registry):
    """However options are spelled in a claim: its cells have their values written in one way."""
    tests = {(side, rule) for claim in load_claims(load())[0].values() for test in claim.tests if test.scale == "cpu"
             for side in test.sides for rule in test.rules}
    cells = functools.cache(lambda suites, flags, plugins: planned(registry, suites, dict(flags), plugins))
    for side, rule in tests:
        made = cells(side.suites, side.flags, side.plugins)
        run = Run("", [CellResult(cell.record(), []) for cell in made])
        for plugin, quantity in ((rule.of, rule.quantity), rule.other):
            if plugin in side.plugins:
                assert run.label_of(plugin, quantity.suite), plugin


def test_no_search_gives_a_negative_control_of_recall_what_it_must_lack(registry):
    """A short convolution tells a value what key it follows, and one layer of attention recalls with it."""
    controls = {(side, test.negative.of) for claim in load_claims(load())[0].values() for test in claim.tests
                if test.negative and test.rule.quantity.suite == "abilities"
                for side in test.sides if test.negative.of in side.plugins}
    assert len(controls) >= 6
    for side, control in controls:
        cells = planned(registry, side.suites, dict(side.flags), [control])
        assert [choice for cell in cells for choice in cell.get("choices") or () if "conv=" in choice] == [], control


def test_protocols_for_a_gpu_lack_nothing_but_the_gpu_and_the_text(registry):
    for suites, flags, plugins in protocols_of("gpu"):
        assert planned(registry, suites, flags, plugins)
        try:
            registry.corpus(flags.get("corpus", "pydoc"))
        except HarnessError as error:
            assert "pip install" in str(error)
