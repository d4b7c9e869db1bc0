"""SVG plots put values where they belong, tell limits, noise and failures apart, and are well-formed for any name."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from harness.errors import UsageError
from harness.evidence.drawing.canvas import stylesheet
from harness.evidence.drawing.grids import SCALE, Segment, bars, dots, heat_map, shade
from harness.evidence.drawing.lines import Label, Point, Series, chart, tick

X, Y = Label("length"), Label("seconds", "s")
HOSTILE = "</svg><script>alert('&\"\x00\x1b')</script>"


def draw(*series, **options):
    return chart(series, **{"title": "title", "x": X, "y": Y} | options)


def classed(root, name):
    return [one for one in root.iter() if name in one.get("class", "").split()]


def places(drawing):
    """(x, y) of every mark, in the order of drawing."""
    found = [re.fullmatch(r"translate\(([\d.-]+) ([\d.-]+)\)", one.get("transform"))
             for one in classed(drawing.root, "point")]
    return [(float(match[1]), float(match[2])) for match in found]


def texts(drawing):
    return [one.text for one in drawing.root.iter("text")]


def steps(numbers):
    return [b - a for a, b in pairwise(numbers)]


def test_a_power_law_is_a_straight_line_on_logarithmic_axes_only():
    series = Series("a", [Point(2.0**i, 4.0**i) for i in range(5)])
    x, y = zip(*places(draw(series)), strict=True)
    assert max(steps(x)) - min(steps(x)) < 0.2
    assert max(steps(y)) - min(steps(y)) < 0.2
    assert max(steps(y)) < 0                                        # upwards
    linear = [y for _, y in places(draw(series, x=Label("length", log=False), y=Label("seconds", log=False)))]
    assert abs(linear[1] - linear[0]) < 0.1 * abs(linear[4] - linear[3])


def test_marks_stand_on_the_line_and_inside_of_the_band():
    drawing = draw(Series("a", [Point(1, 1.0, 0.5, 2.0), Point(2, 3.0, 2.0, 4.0)]))
    line, = classed(drawing.root, "line")
    band, = classed(drawing.root, "band")
    numbers = [float(n) for n in re.findall(r"[\d.]+", line.get("d"))]
    assert numbers == [n for place in places(drawing) for n in place]
    corners = [float(n) for n in re.findall(r"[\d.]+", band.get("d"))]
    (_, y0), _ = places(drawing)
    assert corners[1] < y0 < corners[7]                             # the high end of the first point, then its low end


def test_a_lone_point_has_a_bar_instead_of_a_band():
    root = draw(Series("a", [Point(1, 1.0, 0.5, 2.0)]), Series("b", [Point(2, 1.0)])).root
    assert (len(classed(root, "bar")), len(classed(root, "band")), len(classed(root, "line"))) == (1, 0, 0)


def test_a_failure_stands_in_a_lane_of_its_series_above_the_plot_with_its_word():
    ok = [Point(1, 1.0), Point(2, 2.0)]
    drawing = draw(Series("a", [*ok, Point(4, None, title="too big", word="oom")], 0),
                   Series("b", [*ok, Point(4, None, title="slow", word="timeout")], 1))
    failed = classed(drawing.root, "failed")
    assert [one.findtext("title") for one in failed] == ["a\ntoo big", "b\nslow"]
    assert {"oom", "timeout"} <= set(texts(drawing))
    marks = places(drawing)
    lanes = [marks[2][1], marks[5][1]]
    assert lanes[0] < lanes[1] < min(y for i, (_, y) in enumerate(marks) if i not in (2, 5)) - 10
    assert marks[2][0] == marks[5][0] > marks[1][0]
    assert len(classed(drawing.root, "line")) == 2


def test_a_series_is_broken_where_a_value_is_missing():
    drawing = draw(Series("a", [Point(1, 1.0), Point(2, 1.0), Point(3, None), Point(4, 1.0), Point(5, 1.0)]))
    assert len(classed(drawing.root, "line")) == 2


def test_limits_levels_and_noise_are_drawn_and_named():
    drawing = draw(Series("a", [Point(1, 2.0, limit=0.1), Point(2, 4.0, limit=0.2)]), limit="compute limit",
                   levels=[(3.0, "floor 3")], noise=[(1, 0.9, 1.1), (2, 0.9, 1.1)])
    dotted = [one for one in classed(drawing.root, "limit") if one.get("stroke-dasharray")]
    ends = [float(n) for n in re.findall(r"[\d.]+", dotted[0].get("d"))]
    assert ends[1] > places(drawing)[0][1]                          # the limit lies below the value
    assert len(classed(drawing.root, "level")) == len(classed(drawing.root, "noise")) == 1
    assert {"compute limit", "floor 3", "noise: not ranked"} <= set(texts(drawing))


def test_twenty_series_all_look_different():
    series = [Series(str(i), [Point(1, 1.0), Point(2, 2.0)], i) for i in range(20)]
    assert len({(one.colour, one.dash, one.marker) for one in series}) == 20
    assert all(a.marker != b.marker and a.colour != b.colour for a, b in pairwise(series))


def test_values_that_are_not_positive_get_a_linear_axis_and_intervals_below_zero_stay_in_the_frame():
    flat = draw(Series("a", [Point(1, -1.0), Point(2, 0.0), Point(3, 1.0)]), x=Label("x", log=False))
    assert max(steps([y for _, y in places(flat)])) - min(steps([y for _, y in places(flat)])) < 0.2
    held = draw(Series("a", [Point(1, 1.0, -5.0, 2.0), Point(2, 2.0, 1.0, 3.0)]))
    frame = max(float(n) for n in re.findall(r"V([\d.]+)H", "".join(p.get("d") for p in held.root.iter("path"))))
    assert max(float(n) for n in re.findall(r"[\d.]+", classed(held.root, "band")[0].get("d"))[1::2]) <= frame


@pytest.mark.parametrize("values", [[(1, 1.0)], [(1, 3.0), (2, 3.0)], [(1, 1e-9), (1e6, 1e12)], [(5, 0.0), (6, 0.0)],
                                    [(1, 1.0), (2, 1e308)], [(1, -1.7e308), (2, 1.7e308)], [(1, 1e308)]])
def test_any_range_is_drawn_inside_of_the_picture(values):
    drawing = draw(Series("a", [Point(x, y) for x, y in values]))
    width, height = float(drawing.root.get("width")), float(drawing.root.get("height"))
    assert all(0 < x < width and 0 < y < height for x, y in places(drawing))


def test_x_labels_do_not_overlap():
    drawing = draw(Series("a", [Point(float(x), 1.0 + x) for x in range(1000, 1012)]))
    at = [(float(t.get("x")), t.text) for t in drawing.root.iter("text") if re.fullmatch(r"10\d\d", t.text)]
    assert len(at) >= 3
    assert all(b - a > 25 for (a, _), (b, _) in pairwise(at))


def test_nothing_to_plot_is_said():
    with pytest.raises(ValueError, match="nothing to plot"):
        draw(Series("a", [Point(1, None, word="oom")]))
    with pytest.raises(ValueError, match="nothing to plot"):
        dots([("a", 0, Point(0, None))], title="t", label=Y)


@pytest.mark.parametrize(("value", "unit", "words"), [
    (2.5, "", "2.5"), (2.0, "", "2"), (0.5, "x baseline", "0.5×"), (0.1, "s", "100 ms"), (300.0, "", "300"),
    (2e6, "B", "2 MB"), (4e-6, "", "4e-06"), (20.0, "", "20")])
def test_ticks_have_no_superfluous_zeros(value, unit, words):
    assert tick(value, unit) == words


def hostile_drawings():
    point = Point(1, 0.5, 0.1, 1.0, title=HOSTILE, href="#row-1", word=HOSTILE)
    failed = Point(2, None, title=HOSTILE, word=HOSTILE)
    return [
        draw(Series(HOSTILE, [point, failed]), title=HOSTILE, x=Label(HOSTILE), y=Label(HOSTILE), limit=HOSTILE,
             levels=[(1.0, HOSTILE)]),
        heat_map({(HOSTILE, "1"): point, (HOSTILE, "2"): failed}, title=HOSTILE, across=HOSTILE),
        bars([(HOSTILE, [Segment(0, 1.0, HOSTILE)])], [HOSTILE], title=HOSTILE, unit="B"),
        dots([(HOSTILE, 0, point), (HOSTILE, 1, failed)], title=HOSTILE, label=Label(HOSTILE)),
    ]


@pytest.mark.parametrize("drawing", hostile_drawings(), ids=["chart", "heat map", "bars", "dots"])
def test_a_file_is_well_formed_has_no_links_and_takes_names_as_text(drawing):
    text = drawing.standalone()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    tags = {one.tag.rpartition("}")[2] for one in root.iter()}
    assert "script" not in tags
    assert "a" not in tags
    assert drawing._repr_svg_() == text
    assert text in drawing._repr_html_()
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_link_leads_from_a_mark_to_its_row():
    drawing = draw(Series("a", [Point(1, 1.0, href="#row-7"), Point(2, 1.0)]))
    links = list(drawing.root.iter("a"))
    assert [link.get("href") for link in links] == ["#row-7"]
    assert classed(links[0], "point")


def test_every_colour_that_is_used_has_a_rule():
    used = {name for drawing in hostile_drawings() for one in drawing.root.iter()
            for name in one.get("class", "").split() if re.fullmatch(r"[sc]\d", name)}
    assert used
    assert all(f".{name}{{" in stylesheet() for name in used)


def test_a_saved_drawing_is_its_file(tmp_path):
    drawing = draw(Series("a", [Point(1, 1.0)]))
    assert drawing.save(tmp_path / "plot.svg").read_text() == drawing.standalone() + "\n"


@pytest.mark.parametrize("name", ["plot.png", "plot", "plot.svg.pdf", "plot.html"])
def test_what_is_no_svg_is_not_written_under_such_a_name(tmp_path, name):
    drawing = draw(Series("a", [Point(1, 1.0)]))
    with pytest.raises(UsageError, match=r"a plot is written as SVG, .*; name it plot.*\.svg"):
        drawing.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_shades_grow_lighter_and_text_on_them_keeps_its_contrast():
    def lightness(colour):
        linear = [(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)
                  for v in (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))]
        return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    found = [lightness(shade(i / 50)) for i in range(51)]
    assert min(steps(found)) > 0
    assert shade(-1) == shade(0) == "#{:02x}{:02x}{:02x}".format(*SCALE[0])
    cells = {("task", str(i)): Point(0, i / 50) for i in range(51)}
    for group in classed(heat_map(cells, title="t", across="x").root, "cell"):
        back = lightness(group.find("rect").get("fill"))
        front = lightness(group.find("text").get("fill"))
        assert (max(back, front) + 0.05) / (min(back, front) + 0.05) > 3


def test_a_heat_map_has_a_cell_for_every_value_and_a_mark_for_a_failure():
    cells = {("mqar", "4"): Point(0, 0.25), ("mqar", "8"): Point(0, None, word="oom"), ("copy", "8"): Point(0, 1.0)}
    drawing = heat_map(cells, title="t", across="load")
    assert len(classed(drawing.root, "cell")) == 3
    assert len(classed(drawing.root, "failed")) == 1
    assert {"mqar", "copy", "4", "8", ".25", "1"} <= set(texts(drawing))


def test_bars_are_as_long_as_their_values_and_the_longest_fits():
    def widths(longest):
        drawing = bars([("a", [Segment(0, 1e6), Segment(1, 3e6)]), ("b", [Segment(0, 8e6)])], ["x", "y"],
                       title="t", unit="B", longest=longest)
        return drawing, [float(one.find("rect").get("width")) for one in classed(drawing.root, "segment")]

    drawing, own = widths(0.0)
    assert own[1] == pytest.approx(3 * own[0], rel=1e-3)
    assert own[2] == pytest.approx(8 * own[0], rel=1e-3)
    assert own[2] < float(drawing.root.get("width"))
    assert widths(16e6)[1][2] == pytest.approx(own[2] / 2, rel=1e-3)
    assert {"4 MB", "8 MB"} <= set(texts(drawing))


def test_dots_stand_in_the_order_of_their_values():
    drawing = dots([("a", 0, Point(0, 1e-3)), ("b", 1, Point(0, 1.0, 0.5, 2.0)), ("c", 2, Point(0, None, word="oom"))],
                   title="t", label=Y)
    at = [float(re.search(r"translate\(([\d.]+)", path.get("transform"))[1])
          for path in drawing.root.iter("path") if path.get("transform")]
    assert at == sorted(at)
    assert "✕ oom" in texts(drawing)


@pytest.mark.parametrize(("count", "shown"), [(10, 10), (11, 6), (41, 6)])
def test_of_many_series_the_first_few_are_shown_and_the_rest_lies_in_the_drawing(count, shown):
    drawing = draw(*(Series(f"s{n}", [Point(1, 1.0 + n), Point(2, None, word="oom")], n) for n in range(count)))
    series = classed(drawing.root, "series")
    assert [one.get("display") for one in series] == [None] * shown + ["none"] * (count - shown)
    assert [one[0] for one in drawing.choice] == ([f"s{n}" for n in range(count)] if count > shown else [])
    assert (f"and {count - shown} more, not shown" in texts(drawing)) == (count > shown)
    assert float(drawing.root.get("height")) < 620                  # neither lanes nor legend grow with the number


def test_what_shares_a_colour_differs_by_dash_and_marker():
    one, other = Series("a", [], 3), Series("a, B=4", [], 3, variant=1)
    assert one.colour == other.colour
    assert one.dash != other.dash
    assert one.marker != other.marker
