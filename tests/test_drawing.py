"""Plots: what their specifications hold is checked as it is; what the library makes of it, where it is installed."""

import json
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from harness.errors import PluginError, UsageError
from harness.evidence.drawing import vega
from harness.evidence.drawing.grids import Segment, bars, dots, heat_map
from harness.evidence.drawing.lines import MOST_LANES, chart
from harness.evidence.drawing.palette import CONFIG, PARTS, SERIES, rules
from harness.evidence.drawing.points import Label, Point, Series

X, Y = Label("length"), Label("seconds", "s")
HOSTILE = "</svg><script>alert('&\"\x00\x1b')</script>"
drawn = pytest.mark.skipif(not vega.available(), reason=vega.MISSING)


def draw(*series, **options):
    return chart(series, **{"title": "title", "x": X, "y": Y} | options)


def records(drawing, name="title"):
    """The records of a plot that have a field."""
    return [one for one in drawing.body["data"]["values"] if name in one]


def scale(drawing, channel):
    """The scale of a channel, which every layer that has it agrees on."""
    found = [layer["encoding"][channel]["scale"] for layer in drawing.body["layer"]
             if "scale" in layer["encoding"].get(channel, {})]
    assert all(one == found[0] for one in found)
    return found[0]


def strings(value):
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


def classed(root, name):
    return [one for one in root.iter() if name in one.get("class", "").split()]


def path_of_line(drawing):
    """The corners of the first line of a drawn plot, in pixels."""
    root = ElementTree.fromstring(drawing.standalone())
    line = next(one for group in classed(root, "mark-line") for one in group.iter() if one.get("d"))
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", line.get("d"))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def steps(numbers):
    return [b - a for a, b in pairwise(numbers)]


@drawn
def test_a_power_law_is_a_straight_line_on_logarithmic_axes_only():
    series = Series("a", [Point(2.0**i, 4.0**i) for i in range(5)])
    x, y = zip(*path_of_line(draw(series)), strict=True)
    assert max(steps(x)) - min(steps(x)) < 0.2
    assert max(steps(y)) - min(steps(y)) < 0.2
    assert max(steps(y)) < 0                                        # upwards
    linear = [y for _, y in path_of_line(draw(series, x=Label("length", log=False), y=Label("seconds", log=False)))]
    assert abs(linear[1] - linear[0]) < 0.1 * abs(linear[4] - linear[3])


def test_every_point_is_there_with_its_interval_its_limit_its_words_and_its_row():
    drawing = draw(Series("a", [Point(1, 1.0, 0.5, 2.0, 0.1, "T=1: 1 s", "#row-7"), Point(2, 3.0, 2.0, 4.0)]))
    first, second = records(drawing)
    assert first == {"series": "a", "x": 1, "y": 1.0, "low": 0.5, "high": 2.0, "limit": 0.1, "title": "a\nT=1: 1 s",
                     "href": "#row-7", "run": "0.0", "banded": True}
    assert (second["run"], "limit" in second, "href" in second) == ("0.0", False, False)


def test_a_lone_point_has_a_bar_instead_of_a_band():
    assert [one["banded"] for one in records(draw(Series("a", [Point(1, 1.0, 0.5, 2.0)]), Series("b", [
        Point(2, 1.0, 0.5, 1.5), Point(3, 1.0, 0.5, 1.5)])))] == [False, True, True]


def test_a_failure_stands_in_a_lane_of_its_series_above_the_plot_with_its_word():
    ok = [Point(1, 1.0), Point(2, 2.0)]
    drawing = draw(Series("a", [*ok, Point(4, None, title="too big", word="oom")], 0),
                   Series("b", [*ok, Point(4, None, title="slow", word="timeout")], 1))
    a, b = records(drawing, "lane")
    assert (a["title"], a["word"], b["word"]) == ("a\ntoo big", "oom", "timeout")
    bottom, top = scale(drawing, "y")["range"]
    assert 0 < a["lane"] < b["lane"] < top < bottom == drawing.body["height"]


def test_a_series_is_broken_where_a_value_is_missing():
    drawing = draw(Series("a", [Point(1, 1.0), Point(2, 1.0), Point(3, None), Point(4, 1.0), Point(5, 1.0)]))
    assert len({one["run"] for one in records(drawing, "run")}) == 2


def test_limits_levels_and_noise_are_drawn_and_named():
    drawing = draw(Series("a", [Point(1, 2.0, limit=0.1), Point(2, 4.0, limit=0.2)]), limit="compute limit",
                   levels=[(3.0, "floor 3")], noise=[(1, 0.9, 1.1), (2, 0.9, 1.1)])
    words = " ".join(strings(drawing.body))
    assert all(one in words for one in ("dotted: compute limit", "floor 3", "grey: noise, not ranked"))
    apart = [layer["data"]["values"] for layer in drawing.body["layer"] if "data" in layer]
    assert [len(one) for one in apart] == [2, 1, 1]


def test_twelve_series_differ_by_colour_and_twenty_by_colour_or_shape():
    series = [Series(str(i), [Point(1, 1.0), Point(2, 2.0)], i) for i in range(20)]
    assert len({one.colour for one in series[:12]}) == 12
    assert len({(one.colour, tuple(one.dash), one.shape) for one in series}) == 20
    assert all(a.shape != b.shape and a.colour != b.colour for a, b in pairwise(series))


def test_what_shares_a_colour_differs_by_dash_and_shape():
    one, other = Series("a", [], 3), Series("a, B=4", [], 3, variant=1)
    assert one.colour == other.colour
    assert one.dash != other.dash
    assert one.shape != other.shape


def test_values_that_are_not_positive_get_a_linear_axis_and_on_a_logarithmic_one_no_interval_leaves_the_plot():
    flat = draw(Series("a", [Point(1, -1.0), Point(2, 0.0), Point(3, 1.0)]))
    assert scale(flat, "y")["type"] == "linear"
    steep = draw(Series("a", [Point(1, 1.0, -5.0, 2.0), Point(2, 2.0, 1.0, 3.0)]))
    assert scale(steep, "y")["type"] == "log"
    assert records(steep)[0]["low"] == 1.0


@drawn
@pytest.mark.parametrize("values", [[(1, 1.0)], [(1, 3.0), (2, 3.0)], [(1, 1e-9), (1e6, 1e12)], [(5, 0.0), (6, 0.0)],
                                    [(1, 1.0), (2, 1e308)], [(1, -1.7e308), (2, 1.7e308)], [(1, 1e308)]])
def test_any_range_is_drawn(values):
    drawing = draw(Series("a", [Point(x, y) for x, y in values])).standalone()
    assert not re.search("NaN|Infinity|undefined", drawing)
    assert drawing.count('aria-roledescription="point"') >= len(values)


def test_nothing_to_plot_is_said():
    with pytest.raises(ValueError, match="nothing to plot"):
        draw(Series("a", [Point(1, None, word="oom")]))
    with pytest.raises(ValueError, match="nothing to plot"):
        dots([("a", 0, Point(0, None))], title="t", label=Y)


def hostile_drawings():
    point = Point(1, 0.5, 0.1, 1.0, title=HOSTILE, href="#row-1", word=HOSTILE)
    failed = Point(2, None, title=HOSTILE, word=HOSTILE)
    return [
        draw(Series(HOSTILE, [point, failed]), title=HOSTILE, x=Label(HOSTILE), y=Label(HOSTILE), limit=HOSTILE,
             levels=[(1.0, HOSTILE)], noise=[(1, 0.9, 1.1)]),
        heat_map({(HOSTILE, "1"): point, (HOSTILE, "2"): failed}, title=HOSTILE, across=HOSTILE, intervals=True,
                 style=1),
        bars([(HOSTILE, [Segment(0, 1.0, HOSTILE)])], [HOSTILE], title=HOSTILE, unit="B", styles=[2]),
        dots([(HOSTILE, 0, point), (HOSTILE, 1, failed)], title=HOSTILE, label=Label(HOSTILE)),
    ]


DRAWINGS = pytest.mark.parametrize("drawing", hostile_drawings(), ids=["chart", "heat map", "bars", "dots"])


@drawn
@DRAWINGS
def test_a_file_is_well_formed_has_no_links_and_takes_names_as_text(drawing):
    text = drawing.standalone()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not {"script", "a", "foreignObject"} & {one.tag.rpartition("}")[2] for one in root.iter()}
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "")
    assert drawing._repr_mimebundle_()["image/svg+xml"] == text


@DRAWINGS
def test_it_is_a_specification_that_altair_holds_valid(drawing):
    """An oracle: altair validates by the schema of Vega-Lite."""
    altair = pytest.importorskip("altair")
    altair.LayerChart.from_dict(drawing.spec)


@DRAWINGS
def test_names_are_never_part_of_an_expression(drawing):
    """Vega evaluates expressions; what a name holds must stand beside them, as data."""
    def expressions(value):
        for name, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
                value, list) else ():
            if name in ("expr", "filter", "test", "labelExpr", "calculate") and isinstance(one, str):
                yield one
            else:
                yield from expressions(one)

    found = list(expressions(drawing.body))
    assert found
    assert not [one for one in found if "alert" in one]


@DRAWINGS
def test_every_colour_that_is_used_has_a_rule_for_a_dark_page(drawing):
    sheet = rules("svg", lambda white, black: black)
    used = {one for one in strings([drawing.body, CONFIG]) if re.fullmatch("#[0-9a-f]{6}", one)}
    assert used
    assert {one for one in used if f'[fill="{one}"]' not in sheet} <= set(PARTS)     # these are alike on black


def test_a_colour_is_replaced_by_one_rule():
    assert len({white for white, _ in SERIES}) == len(SERIES)


@drawn
def test_a_saved_drawing_is_its_file_and_follows_the_colour_scheme(tmp_path):
    drawing = draw(Series("a", [Point(1, 1.0)]))
    text = drawing.save(tmp_path / "plot.svg").read_text()
    assert text == drawing.standalone() + "\n"
    assert "prefers-color-scheme:dark" in text
    assert drawing.digest in text


@pytest.mark.parametrize("name", ["plot.png", "plot", "plot.svg.pdf", "plot.html"])
def test_what_is_no_svg_is_not_written_under_such_a_name(tmp_path, name):
    drawing = draw(Series("a", [Point(1, 1.0)]))
    with pytest.raises(UsageError, match=r"a plot is written as SVG, .*; name it plot.*\.svg"):
        drawing.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_without_the_library_a_line_says_so_and_a_notebook_still_has_the_specification(tmp_path, monkeypatch):
    monkeypatch.setattr(vega, "available", lambda: False)
    drawing = draw(Series("a", [Point(1, 1.0)]))
    with pytest.raises(PluginError, match=r"plots need vl-convert-python: pip install 'qllm-harness\[plots\]'$"):
        drawing.save(tmp_path / "plot.svg")
    bundle = drawing._repr_mimebundle_()
    assert bundle["application/vnd.vegalite.v6+json"] == drawing.spec
    assert bundle["text/plain"] == f"title: {vega.MISSING}"


def test_a_heat_map_has_a_cell_for_every_value_and_a_mark_for_a_failure():
    cells = {("mqar", "4"): Point(0, 0.25, 0.2, 0.3), ("mqar", "8"): Point(0, None, word="oom"),
             ("copy", "8"): Point(0, 1.0)}
    drawing = heat_map(cells, title="t", across="load", intervals=True)
    a, failed, b = records(drawing)
    assert (a["number"], a["half"], a["light"]) == (".25", "±.05", False)
    assert (failed["word"], "value" in failed) == ("✕ oom", False)
    assert (b["number"], b["light"], "half" in b) == ("1", True, False)
    assert [len(one) for one in (drawing.body["layer"], heat_map(cells, title="t", across="").body["layer"])] == [5, 4]


def test_bars_are_as_long_as_their_values_and_the_longest_fits():
    def of(longest):
        drawing = bars([("a", [Segment(0, 1e6), Segment(1, 3e6)]), ("b", [Segment(0, 8e6)])], ["x", "y"],
                       title="t", unit="B", longest=longest)
        return drawing, [(one["from"], one["to"]) for one in records(drawing)]

    drawing, lengths = of(0.0)
    assert lengths == [(0, 1e6), (1e6, 4e6), (0, 8e6)]
    assert scale(drawing, "x")["domain"][1] > 8e6
    assert scale(of(16e6)[0], "x")["domain"][1] > 16e6
    assert {"4 MB", "8 MB"} <= set(strings(drawing.body))


def test_dots_have_their_values_and_failures_their_words():
    drawing = dots([("a", 0, Point(0, 1e-3)), ("b", 1, Point(0, 1.0, 0.5, 2.0)), ("a", 2, Point(0, None, word="oom"))],
                   title="t", label=Y)
    assert [one["value"] for one in records(drawing, "value")] == [1e-3, 1.0]
    assert [one["word"] for one in records(drawing, "word")] == ["✕ oom"]
    assert [one["row"] for one in records(drawing)] == [0, 1, 2]            # a name may stand there twice
    assert drawing.body["params"][0]["value"] == ["a", "b", "a"]


@pytest.mark.parametrize(("count", "shown"), [(10, 10), (11, 6), (41, 6)])
def test_of_many_series_the_first_few_are_shown_and_the_rest_lies_in_the_drawing(count, shown):
    drawing = draw(*(Series(f"s{n}", [Point(1, 1.0 + n), Point(2, None, word="oom")], n) for n in range(count)))
    names = [f"s{n}" for n in range(count)]
    assert list(dict.fromkeys(one["series"] for one in records(drawing))) == names
    assert [one.name for one in drawing.choice] == (names if count > shown else [])
    if count > shown:
        assert drawing.body["params"] == [{"name": "shown", "value": names[:shown]}]
        assert f"{shown} of {count} series" in json.dumps(drawing.body["title"])
    legend = drawing.body["layer"][0]["encoding"]["color"]["legend"]
    assert len(legend.get("values", names)) == shown                       # neither lanes nor legend grow with them
    assert max(one["lane"] for one in records(drawing, "lane")) < 15 * MOST_LANES
