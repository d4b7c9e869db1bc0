"""A leaderboard in a real browser: no errors, nothing fetched but its files, filters, links to rows, phone, paper."""

import json

import numpy as np
import pytest
from synthetic import scored, store
from test_report_browser import DRIVER, driver, until, webdriver  # noqa: F401

from harness.evidence.drawing import vega
from harness.evidence.site.pages import write_site
from harness.evidence.site.site import read_site
from harness.registry import load

from selenium.webdriver.common.by import By  # isort: skip
from selenium.webdriver.support.ui import Select  # isort: skip

pytestmark = [pytest.mark.skipif(not DRIVER, reason="no chromium with its chromedriver on this machine"),
              pytest.mark.skipif(not vega.available(), reason=vega.MISSING)]
SIZES = np.full(20, 1000.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("a site")
    results = [scored(plugin, SIZES * (value + np.linspace(-0.05, 0.05, 20)), SIZES, params=params)
               for plugin, value in (("baseline", 3.0), ("wave:ratio=1,entangled=true", 2.0))
               for params in (300_000, 1_000_000)]
    write_site(read_site([store(place / "run", results)], load()), place / "site")
    return place / "site"


def shown(page):
    return [one for one in page.find_elements(By.CSS_SELECTOR, ".board") if one.is_displayed()]


def test_a_page_of_rankings(driver, folder):  # noqa: F811
    driver.get((folder / "suite-perplexity.html").as_uri())
    until(driver, lambda page: len(page.find_elements(By.CSS_SELECTOR, ".plot svg")) == 2)
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
    sent = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in sent if one["method"] == "Network.requestWillBeSent"
            and one["params"]["documentURL"].endswith("suite-perplexity.html")]
    assert {url.partition(":")[0] for url in urls} <= {"file", "data"} and len(urls) >= 3
    link = driver.find_element(By.CSS_SELECTOR, ".board td a[id]")
    target = link.get_attribute("href").partition("#")[2]
    assert link.get_attribute("id") == target
    Select(driver.find_element(By.NAME, "size")).select_by_index(2)
    assert len(shown(driver)) == 1
    driver.execute_script("location.hash = arguments[0]", target)           # the filter hides it, the link shows it
    until(driver, lambda page: page.find_element(By.ID, target).is_displayed())
    assert len(shown(driver)) == 2
    driver.find_element(By.NAME, "system").send_keys("WAVE")
    lines = [line.text for line in driver.find_elements(By.CSS_SELECTOR, ".board tbody tr") if line.is_displayed()]
    assert len(lines) == 2 and all("wave" in line for line in lines)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["index", "suite-perplexity", "runs"])
def test_only_tables_scroll_sideways(driver, folder, width, name):  # noqa: F811
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600})
    try:
        driver.get((folder / f"{name}.html").as_uri())
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_paper_is_white_and_has_no_filters(driver, folder):  # noqa: F811
    driver.get((folder / "suite-perplexity.html").as_uri())
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not driver.find_element(By.CSS_SELECTOR, ".filters").is_displayed()
        assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
