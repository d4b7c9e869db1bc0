"""The notebook's table: wide, in ratios, plotted; selections keep these; intervals are kept, never narrowed."""

import math
import shutil
import warnings

import pytest

from harness import load_results
from harness.errors import UsageError
from harness.evidence.report.notebook import Results
from harness.store import COLUMNS, CellResult, Row, Store, to_frame


def row(plugin, value, **fields):
    given = {"suite": "speed", "metric": "tokens_per_s", "phase": "train", "unit": "tokens/s", "better": "higher",
             "seq_len": 64, "seed": 0, "params": 300, "cell_id": plugin}
    interval = {} if value is None else {"ci_low": 0.9 * value, "ci_high": 1.1 * value}
    return Row(**given | {"plugin": plugin, "value": value} | interval | fields)


def results(*rows):
    return Results(to_frame(rows))


def words(drawing):
    """Every text and number of a plot."""
    def every(value):
        if isinstance(value, dict | list):
            return {word for one in (value.values() if isinstance(value, dict) else value) for word in every(one)}
        return {str(value)}

    return every(drawing.body)


PAIR = [row("a", 100.0), row("a", 50.0, seq_len=128), row("b", 200.0), row("b", 25.0, seq_len=128)]


def test_a_run_loads_as_results_and_selections_are_results(tmp_path):
    store = Store(tmp_path / "run")
    store.write(CellResult({"id": "x", "suite": "speed", "plugin": "a"}, PAIR))
    loaded = load_results(store.directory)
    assert isinstance(loaded, Results)
    assert tuple(loaded.columns) == COLUMNS
    assert isinstance(loaded[loaded.seq_len == 64], Results)
    assert load_results(store.directory)["value"].tolist() == [100.0, 50.0, 200.0, 25.0]


def test_wide_has_a_row_per_plugin_and_names_only_what_varies():
    wide = results(*PAIR).wide()
    assert wide.columns.names == ["metric", "seq_len"]
    assert wide.index.tolist() == ["a", "b"]
    assert wide.loc["b", ("tokens_per_s", 128)] == 25.0
    one = results(*PAIR[::2]).wide()
    assert one["tokens_per_s"].tolist() == [100.0, 200.0]


def test_wide_means_over_seeds_and_keeps_options_sizes_and_corpora_apart():
    rows = [row("a", 1.0), row("a", 3.0, seed=1), row("a", 5.0, options="x=1"), row("a", 7.0, corpus="other")]
    wide = results(*rows).wide()
    assert wide.loc["a", ("tokens_per_s", "")] == 2.0
    assert wide.loc["a", ("tokens_per_s", "other")] == 7.0
    assert wide.loc["a:x=1", ("tokens_per_s", "")] == 5.0
    assert results(row("a", 1.0), row("a", 2.0, params=900)).wide().index.names == ["label", "params"]


def test_wide_leads_with_results_and_keeps_intervals_beside_them():
    rows = [row("a", 3e-3, metric="learning_rate", better="", ci_low=None, ci_high=None),
            row("a", 4.0, metric="trial_bits@0.1", better="lower", ci_low=None, ci_high=None),
            row("a", 900.0, metric="peak_bytes", better="lower", ci_low=None, ci_high=None), row("a", 100.0)]
    wide = results(*rows).wide()
    assert list(wide) == ["tokens_per_s", "tokens_per_s ci_low", "tokens_per_s ci_high", "peak_bytes", "learning_rate",
                          "trial_bits@0.1"]
    assert wide.iloc[0, :3].tolist() == pytest.approx([100, 90, 110])
    seeds = results(*(row("a", value, seed=seed) for seed, value in enumerate((1.0, 2.0, 3.0)))).wide()
    half = 4.302653 / 3**0.5                                    # Student's t at two degrees of freedom
    assert seeds.iloc[0].tolist() == pytest.approx([2.0, 2 - half, 2 + half], rel=1e-5)


def test_wide_has_no_means_of_curves():
    rows = [row("a", loss, metric="curve", bytes_seen=seen) for seen, loss in ((10, 5.0), (20, 3.0))]
    assert list(results(*rows, row("a", 1.0)).wide()) == ["tokens_per_s", "tokens_per_s ci_low", "tokens_per_s ci_high"]


def test_an_edited_plugin_is_two_lines_and_never_a_mean():
    """9.2677 with the new code, 8.9735 with the old."""
    rows = [row("a", 8.9735, code="v1", started_at="2030-01-01", cell_id="c1"),
            row("a", 9.2677, code="v2", started_at="2030-01-02", cell_id="c2"), row("b", 2.0)]
    with pytest.warns(UserWarning, match="a: its code was edited between measurements"):
        wide = results(*rows).wide()
    assert wide["tokens_per_s"].to_dict() == {"a (older code v1)": 8.9735, "a": 9.2677, "b": 2.0}
    with pytest.warns(UserWarning, match="edited"):
        assert results(*rows).ratio(to="a")["value"].tolist()[-1] == pytest.approx(2.0 / 9.2677)
    assert {"a", "a · older code v1"} <= words(results(*rows).plot("tokens_per_s"))


def test_texts_are_told_by_content_not_by_name():
    other = {"corpus": "book", "corpus_sha256": "22222222aa"}
    rows = [row("a", 1.0, corpus="book", corpus_sha256="11111111aa"),
            row("b", 2.0, corpus="copy of it", corpus_sha256="11111111aa")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert results(*rows).wide()["tokens_per_s"].tolist() == [1.0, 2.0]
        assert results(*rows).ratio(to="a")["value"].tolist() == [2.0]
    with pytest.warns(UserWarning, match="book: several texts of this name"):
        wide = results(*rows, row("a", 7.0, cell_id="c", **other)).wide()
    assert wide.loc["a", ("tokens_per_s", "book (text 22222222)")] == 7.0
    assert wide.loc["a", ("tokens_per_s", "book (text 11111111)")] == 1.0


def test_several_runs_load_as_one_table_that_says_which_run(tmp_path):
    for name, value in (("one", 1.0), ("two", 2.0)):
        cell = {"id": "x", "suite": "speed", "plugin": "a"}
        Store(tmp_path / name).write(CellResult(cell, [row("a", value, started_at=name), row("b", 4.0, cell_id="b")]))
    runs = [tmp_path / "one", tmp_path / "two"]
    both = load_results(*runs)
    assert both["run"].tolist() == ["one", "one", "two"]                    # b is one measurement in both
    assert both.wide()["tokens_per_s"].to_dict() == {("a", "one"): 1.0, ("b", "one"): 4.0, ("a", "two"): 2.0}
    assert load_results(runs).equals(both)
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    assert load_results(tmp_path / "one", tmp_path / "copy").wide()["tokens_per_s"].to_dict() == {"a": 1.0, "b": 4.0}
    with pytest.raises(UsageError, match="one results directory or more"):
        load_results()


def test_failures_take_no_part_in_wide_and_ratio():
    rows = [*PAIR, row("c", None, status="oom"), row("c", 9.0, status="audit_failed", metric="bits")]
    assert results(*rows).wide().index.tolist() == ["a", "b"]
    assert set(results(*rows).ratio(to="a")["plugin"]) == {"b"}


def test_a_ratio_is_under_equal_conditions_with_the_interval_of_the_worst_case():
    ratio = results(*PAIR, row("b", 7.0, corpus="other"), row("b", 7.0, seed=5)).ratio(to="a")
    assert ratio["value"].tolist() == [2.0, 0.5]
    assert ratio["seq_len"].tolist() == [64, 128]
    assert set(ratio["unit"]) == {"x a"}
    assert ratio["ci_low"].tolist() == pytest.approx([2 * 0.9 / 1.1, 0.5 * 0.9 / 1.1])
    assert ratio["ci_high"].tolist() == pytest.approx([2 * 1.1 / 0.9, 0.5 * 1.1 / 0.9])
    assert tuple(ratio.columns) == COLUMNS
    assert ratio.wide().loc["b", ("tokens_per_s", 64)] == 2.0


def test_of_merged_runs_scores_are_paired_and_times_within_each_run_alone():
    bits = {"metric": "bits_per_byte", "unit": "bits/byte", "phase": "score"}
    rows = [row("a", 2.0, run_id="r1", **bits), row("b", 3.0, run_id="r2", **bits),
            row("a", 100.0, run_id="r1"), row("b", 50.0, run_id="r1"), row("b", 7.0, run_id="r2"),
            row("a", 1.0, run_id="r1", unit="s", metric="t"), row("b", 9.0, run_id="r2", unit="s", metric="t")]
    ratio = results(*rows).ratio(to="a")
    assert dict(zip(ratio["metric"], ratio["value"], strict=True)) == {"bits_per_byte": 1.5, "tokens_per_s": 0.5}


def test_a_ratio_without_intervals_has_none():
    bare = results(row("a", 2.0, ci_low=None, ci_high=None), row("b", 4.0)).ratio(to="a")
    assert bare["value"].tolist() == [2.0]
    assert math.isnan(bare["ci_low"].iloc[0])


def test_a_ratio_to_zero_is_infinite_and_of_negative_numbers_none():
    rows = [row(plugin, value, seq_len=length) for length, both in enumerate(((0, 4), (4, 0), (0, 0), (-1, 2)), 1)
            for plugin, value in zip("ab", both, strict=True)]
    ratio = results(*rows).ratio(to="a")
    assert ratio["value"].tolist() == [math.inf, 0.0, 1.0]
    assert math.isnan(ratio["ci_high"].iloc[0])
    assert ratio.plot("tokens_per_s", log=False)


def test_a_ratio_to_nobody_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="unknown plugin 'baselin'; did you mean 'baseline'"):
        results(row("baseline", 1.0)).ratio(to="baselin")


def test_a_plot_shows_itself_with_a_line_per_plugin_and_failures():
    drawing = results(*PAIR, row("b", None, seq_len=256, status="oom", reason="9 GB")).plot("tokens_per_s")
    assert {"a", "b", "tokens per s", "64.0", "128.0", "oom"} <= words(drawing)
    assert drawing._repr_mimebundle_()["application/vnd.vegalite.v6+json"] == drawing.spec
    assert "a" in words(results(*PAIR).ratio(to="a").plot("tokens_per_s", phase="train"))


def test_a_plot_over_another_column_and_of_several_phases():
    rows = [row("a", 1.0, seq_len=None), row("a", 2.0, params=600, seq_len=None), row("a", 5.0, phase="decode")]
    drawing = results(*rows).plot("tokens_per_s", x="params")
    assert {"a · train", "a · decode", "params · log"} <= words(drawing)


def test_what_cannot_be_plotted_is_told():
    with pytest.raises(UsageError, match="unknown metric 'tokens_per_sec'; did you mean 'tokens_per_s'"):
        results(*PAIR).plot("tokens_per_sec")
    with pytest.raises(UsageError, match="unknown metric 'nonsense'; known: tokens_per_s, tuning_seconds"):
        results(*PAIR, row("a", 1.0, metric="tuning_seconds")).plot("nonsense")
    with pytest.raises(UsageError, match="unknown phase of tokens_per_s 'trian'; did you mean 'train'"):
        results(*PAIR).plot("tokens_per_s", phase="trian")
    for x in ("plugin", "nonsense"):
        with pytest.raises(UsageError, match=f"unknown numeric column '{x}'"):
            results(*PAIR).plot("tokens_per_s", x=x)
    with pytest.raises(UsageError, match="no row of tokens_per_s tells its depth"):
        results(*PAIR).plot("tokens_per_s", x="depth")
    with pytest.raises(UsageError, match="tokens_per_s has no number here"):
        results(row("a", None, status="oom")).plot("tokens_per_s")
