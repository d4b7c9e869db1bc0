"""The report in a real browser: no errors, plots drawn, tables sort and filter, both themes, keyboard and paper."""

import base64
import json
import re
import shutil

import pytest
from conftest import ROOT
from synthetic import store

from harness.evidence.drawing import vega
from harness.evidence.report import html
from harness.evidence.report.compose import build
from harness.registry import load
from harness.store import CellResult, Row

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
from selenium.webdriver import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with its chromedriver on this machine"),
              pytest.mark.skipif(not vega.available(), reason=vega.MISSING)]

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--window-size=1280,1000")
LUMINANCE = "const c = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number); return c[0];"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html.render_html(build([ROOT / "results/reference/cpu"], load())), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A report of few plots: a browser takes its time for each."""
    path = tmp_path_factory.mktemp("few") / "report.html"
    path.write_text(html.render_html(build([ROOT / "results/reference/demo"], load())), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def plots(driver, few):
    """A page with every plot drawn, also those that are far below: as for paper."""
    driver.get(few)
    driver.execute_script("dispatchEvent(new Event('beforeprint')); dispatchEvent(new Event('afterprint'))")
    until(driver, lambda page: page.execute_script(
        "return document.querySelectorAll('.plot svg').length === document.querySelectorAll('.plot').length"))
    return driver


@pytest.fixture
def page(driver, report):
    if driver.current_url.partition("#")[0] == report:
        driver.execute_script("localStorage.clear()")
    driver.get("about:blank")
    driver.get(report)
    return driver


def column(page, table, number):
    return page.execute_script(
        "return [...document.querySelectorAll(arguments[0] + ' tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.cells[arguments[1]].textContent)", f"#{table}", number)


def until(page, condition):
    """Wait for what a page does in its own time: it answers a command before it has drawn what that led to."""
    return WebDriverWait(page, 60).until(condition)


def bring_near(page, element):
    """Scroll to it, and wait for the event that tells of it, which hides a tip: a busy page sends it late."""
    page.execute_async_script("arguments[0].scrollIntoView({block: 'center'});"
                              "requestAnimationFrame(() => requestAnimationFrame(arguments[1]))", element)


def unfold(page):
    page.find_element(By.CSS_SELECTOR, "#rows summary").click()


def heading(page, table, number):
    return page.find_elements(By.CSS_SELECTOR, f"#{table} th button")[number]


def test_it_loads_without_an_error_and_asks_nobody(page):
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    sent = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in sent if one["method"] == "Network.requestWillBeSent"
            and one["params"]["documentURL"].startswith("file:")]
    assert len(urls) >= 1
    assert {url.partition(":")[0] for url in urls} <= {"file", "data"}
    page.execute_script("console.error('planted')")
    assert any("planted" in entry["message"] for entry in page.get_log("browser"))


def test_plots_that_are_far_below_are_drawn_when_they_come_near(page):
    near = "return [...document.querySelectorAll('.plot')].map(one => Boolean(one.querySelector('svg')))"
    assert not any(page.execute_script(near)[-5:])
    page.execute_script("[...document.querySelectorAll('.plot')].at(-1).scrollIntoView()")
    until(page, lambda page: page.execute_script(near)[-1])


def test_every_plot_is_drawn(plots):
    sizes = plots.execute_script(
        "return [...document.querySelectorAll('figure svg')].map(svg => [svg.getBoundingClientRect().width,"
        " svg.getBoundingClientRect().height, svg.querySelectorAll('path, rect').length])")
    assert len(sizes) == 4
    assert all(width > 300 and height > 80 and shapes > 3 for width, height, shapes in sizes)


def test_text_stays_inside_of_its_plot(plots):
    outside = plots.execute_script("""
        return [...document.querySelectorAll('figure svg')].flatMap(svg => {
          const frame = svg.getBoundingClientRect();
          return [...svg.querySelectorAll('text')].filter(text => {
            const box = text.getBoundingClientRect();
            return box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1;
          }).map(text => text.textContent);
        });""")
    assert outside == []


def test_series_have_the_colours_of_the_theme(plots):
    colours = ("return ['#0072b2', '#d55e00'].map(c => getComputedStyle("
               "document.querySelector(`.plot [fill='${c}']`)).fill)")
    plots.execute_script("document.documentElement.dataset.theme = 'light'")
    assert plots.execute_script(colours) == ["rgb(0, 114, 178)", "rgb(213, 94, 0)"]
    plots.execute_script("document.documentElement.dataset.theme = 'dark'")
    assert plots.execute_script(colours) == ["rgb(86, 180, 233)", "rgb(213, 94, 0)"]


def test_a_heading_sorts_up_then_down_by_value_and_not_by_text(page):
    table = "rows-0-table"
    unfold(page)
    before = column(page, table, 0)
    heading(page, table, 4).click()
    exact = [float(text.split()[0]) for text in column(page, table, 5) if text]
    assert exact == sorted(exact)
    assert len(exact) > 100
    assert page.find_elements(By.CSS_SELECTOR, f"#{table} th")[4].get_attribute("aria-sort") == "ascending"
    heading(page, table, 4).click()
    values = column(page, table, 5)
    assert [float(text.split()[0]) for text in values if text] == exact[::-1]
    assert values[-1] == ""                                         # what has no value stays last
    heading(page, table, 0).click()
    assert column(page, table, 0) == before == [str(number) for number in range(1, len(before) + 1)]


def test_a_filter_keeps_rows_with_every_word_and_says_how_many(page):
    unfold(page)
    box = page.find_element(By.CSS_SELECTOR, "#rows-0 input")
    everything = len(column(page, "rows-0-table", 0))
    box.send_keys("phasefield AUDIT_failed")
    shown = column(page, "rows-0-table", 11)
    assert set(shown) == {"audit_failed"}
    assert 0 < len(shown) < everything
    assert page.find_element(By.CSS_SELECTOR, "#rows-0 output").text == f"{len(shown)} of {everything} rows"
    box.clear()
    box.send_keys(" ")
    assert len(column(page, "rows-0-table", 0)) == everything


@pytest.mark.parametrize("words", ["", "nothing has this"])
@pytest.mark.parametrize("folded", [False, True])
def test_a_link_shows_its_row_even_where_a_fold_or_a_filter_hides_it(page, words, folded):
    unfold(page)
    page.find_element(By.CSS_SELECTOR, "#rows-0 input").send_keys(words)
    if folded:
        unfold(page)
    assert (column(page, "rows-0-table", 0) == []) == bool(words)
    link = page.find_element(By.CSS_SELECTOR, "#summary td a")
    target = link.get_attribute("href").partition("#")[2]
    page.execute_script("arguments[0].click()", link)               # wherever it is scrolled to, below the bar as well
    row = page.find_element(By.ID, target)
    until(page, lambda _: row.is_displayed())
    assert page.execute_script("return document.querySelector(':target').id") == target
    assert page.execute_script("const b = arguments[0].getBoundingClientRect();"              # nor below a heading
                               " return arguments[0].contains(document.elementFromPoint(b.left + 60, b.top + 4))", row)


def test_the_theme_goes_round_and_is_remembered(page, report):
    button = page.find_element(By.ID, "theme")
    assert button.text == "Theme: auto"
    button.click()
    light = page.execute_script(LUMINANCE)
    button.click()
    dark = page.execute_script(LUMINANCE)
    assert (button.text, light, dark < 40) == ("Theme: dark", 255, True)
    page.get(report)
    assert page.find_element(By.ID, "theme").text == "Theme: dark"
    assert page.execute_script(LUMINANCE) == dark


def test_text_has_contrast_in_both_themes(page):
    """WCAG AA: 4.5 to 1 for what is read, on the paper or on a table's head."""
    for theme in ("light", "dark"):
        page.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
        ratios = page.execute_script("""
            const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255)
              .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
              return .2126 * r + .7152 * g + .0722 * b; };
            const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
              if (!/, 0\\)/.test(c)) return c; } };
            const seen = ['h1', '.intro', 'td', 'td a', 'td .failed', 'td .best', 'td .limit', 'th button', '.badge.ok',
              '.badge.failed', 'nav a', 'figcaption', '.below', 'pre', '.tools output'];
            return Object.fromEntries(seen.map(name => { const e = document.querySelector(name);
              const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
              return [name, (a + .05) / (b + .05)]; }));""")
        assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


def test_the_keyboard_reaches_links_and_headings(page):
    active = "return document.activeElement"
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert page.execute_script(active).text == "Skip to the summary"
    wanted, reached = {"a", "button", "div"}, set()
    while not wanted <= reached:
        page.execute_script(active).send_keys(Keys.TAB)
        element = page.execute_script(active)
        reached.add(element.tag_name)
        assert element.tag_name != "body", f"the end of the page after {reached}"
    unfold(page)
    sort = heading(page, "rows-0-table", 4)
    page.execute_script("arguments[0].focus()", sort)
    sort.send_keys(Keys.ENTER)
    assert page.find_elements(By.CSS_SELECTOR, "#rows-0-table th")[4].get_attribute("aria-sort") == "ascending"


@pytest.mark.parametrize("width", [380, 760, 1280])
def test_only_tables_scroll_sideways(page, width):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                         {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False})
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_paper_is_white_and_has_no_controls(page):
    page.execute_script("document.documentElement.dataset.theme = 'dark'")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert page.execute_script(LUMINANCE) == 255
        assert not page.find_element(By.TAG_NAME, "nav").is_displayed()
        assert not page.find_element(By.CSS_SELECTOR, ".tools").is_displayed()
        sizes = page.execute_script("return [...document.querySelectorAll('td')]"
                                    ".map(cell => parseFloat(getComputedStyle(cell).fontSize))")
        assert min(sizes) >= 8 * 96 / 72 - 0.01                                 # 8 pt
        heights = page.execute_script("return [...document.querySelectorAll('details')].map(fold => [fold.open, "
                                      "fold.getBoundingClientRect().height])")
        assert len(heights) > 5
        assert all(height > 100 for _, height in heights)
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_it_prints_on_a_few_pages(plots):
    printed = base64.b64decode(plots.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert 2 < len(re.findall(rb"/Type\s*/Page\b", printed)) < 15


def test_a_fold_hides_its_rows_until_it_is_opened(page):
    row = page.find_element(By.ID, "row-1")
    assert not row.is_displayed()
    unfold(page)
    assert row.is_displayed()


def test_hovering_over_a_mark_tells_its_number_and_a_click_leads_to_its_row(plots):
    mark = until(plots, lambda plots: plots.find_element(
        By.CSS_SELECTOR, "[id$=figure-0] .mark-symbol.role-mark path[fill='#0072b2']"))
    bring_near(plots, mark)
    ActionChains(plots).move_to_element(mark).perform()
    tip = plots.find_element(By.CSS_SELECTOR, ".tip")
    until(plots, lambda _: tip.text)
    assert re.search(r"^phasefield\nT=\d+: [\d.]+ \[[\d., ]+\] s\n.*\nrow \d+ · cell \w+$", tip.text)
    mark.click()
    assert plots.execute_script("return document.querySelector(':target').tagName") == "TR"


def test_a_click_on_the_legend_sets_a_series_apart(plots):
    lines = ("return [...document.querySelectorAll('[id$=figure-1] .mark-line path')]"
             ".map(one => Number(getComputedStyle(one).opacity))")
    label = until(plots, lambda plots: plots.find_element(
        By.CSS_SELECTOR, "[id$=figure-1] .role-legend-label text"))
    assert set(plots.execute_script(lines)) == {1}
    bring_near(plots, label)
    ActionChains(plots).move_to_element(label).click().perform()
    until(plots, lambda plots: set(plots.execute_script(lines)) != {1})
    assert sorted(plots.execute_script(lines))[-2:] != [1, 1]
    assert sorted(plots.execute_script(lines))[-1] == 1


def test_one_plugin_has_one_colour_in_tables_and_in_every_plot(plots):
    told = plots.execute_script("""
        const found = {}, note = (name, colour) => (found[name] ??= new Set()).add(colour);
        for (const one of document.querySelectorAll('td .plugin'))
          note(one.textContent.split(' · ')[0], getComputedStyle(one, '::before').color);
        for (const plot of document.querySelectorAll('.plot')) {
          const symbols = plot.querySelectorAll('.role-legend-symbol path');
          plot.querySelectorAll('.role-legend-label text').forEach((label, i) => {
            if (symbols[i] && !label.closest('figure').id.startsWith('suite-1'))        // parts of the memory
              note(label.textContent.split(' · ')[0], getComputedStyle(symbols[i]).fill); });
        }
        return Object.fromEntries(Object.entries(found).map(([name, colours]) => [name, [...colours]]));""")
    assert {"phasefield", "baseline"} == set(told)
    assert {name: colours for name, colours in told.items() if len(colours) > 1} == {}
    assert told["phasefield"] != told["baseline"]


def test_of_many_series_a_reader_chooses_which_are_shown(driver, tmp_path):
    results = [CellResult({"id": f"c{n}", "suite": "theirs", "plugin": f"p{n}"}, [
        Row(suite="theirs", plugin=f"p{n}", cell_id=f"c{n}", metric="joy", value=1.0 + n + length, seq_len=length,
            phase="train", better="lower") for length in (2, 4)]) for n in range(41)]
    path = tmp_path / "report.html"
    path.write_text(html.render_html(build([store(tmp_path / "run", results)], load())), encoding="utf-8")
    driver.get(path.as_uri())
    shown = ("return [...new Set([...document.querySelectorAll('.plot .mark-symbol.role-mark path')].map(one =>"
             " Number(one.getAttribute('aria-label').match(/series: p(\\d+)/)[1])))]")
    until(driver, lambda page: sorted(page.execute_script(shown)) == [0, 1, 10, 11, 12, 13])    # the cells by name
    boxes = driver.find_elements(By.CSS_SELECTOR, "fieldset input")
    assert len(boxes) == 41
    for number in (0, 1, 40):
        driver.execute_script("arguments[0].click()", boxes[number])
    until(driver, lambda page: sorted(page.execute_script(shown)) == [9, 10, 11, 12, 13])
    names = [text.text for text in driver.find_elements(By.CSS_SELECTOR, "fieldset label")]
    assert sorted(names) == sorted(f"p{n}" for n in range(41))
    assert not driver.find_elements(By.CSS_SELECTOR, ".role-legend")
