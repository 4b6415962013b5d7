"""The page as readers see it: a real browser, without a display."""

import base64
import json
import shutil
import time

import pytest

from agser_core.report.page import build_page
from agser_core.report.tables import report_tables

pytestmark = pytest.mark.slow

DESKTOP, PHONE = (1200, 900), (390, 844)


@pytest.fixture(scope="module")
def address(inputs, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(build_page(inputs), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def browser():
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no headless browser here: install chromium and its driver (Debian: chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=Service(driver))
    yield session
    session.quit()


def show(browser, address, size, **media):
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [], **media})
    browser.get(address)


def lips(browser):
    return browser.execute_script("return [...document.querySelectorAll('.mouth .lips')].map(p => p.getAttribute('d'))")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_error_no_request_and_no_sideways_scrolling(browser, address, size):
    browser.get_log("performance")
    show(browser, address, size)
    time.sleep(0.5)
    assert browser.get_log("browser") == []
    requests = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        entry["params"]["request"]["url"].split(":")[0]
        for entry in requests
        if entry["method"] == "Network.requestWillBeSent"
    }
    assert asked <= {"file", "data"}
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_figure_is_drawn_with_a_description(browser, address, inputs, size):
    show(browser, address, size)
    drawn = browser.execute_script(
        """return [...document.querySelectorAll('svg[role=img]')].map(svg => {
             const box = svg.getBoundingClientRect();
             const label = svg.getAttribute('aria-label') ||
               document.getElementById(svg.getAttribute('aria-labelledby')).textContent;
             return [box.width, box.height, svg.querySelectorAll('path').length, label.length];
           })"""
    )
    assert len(drawn) == 14 + len(inputs.atlas.table)
    for width, height, paths, words in drawn:
        assert width > 100 and height > 60 and paths >= 3 and words > 20
    outside = browser.execute_script(
        """return [...document.querySelectorAll('figure svg text')].filter(text => {
             const inner = text.getBoundingClientRect(), outer = text.closest('svg').getBoundingClientRect();
             return inner.width && (inner.left < outer.left - 2 || inner.right > outer.right + 2 ||
               inner.top < outer.top - 2 || inner.bottom > outer.bottom + 2);
           }).map(text => text.textContent)"""
    )
    assert outside == []


def test_mouths_move_pause_and_follow_the_slider(browser, address):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, address, DESKTOP)
    before = lips(browser)
    time.sleep(0.4)
    after = lips(browser)
    assert all(first != second for first, second in zip(before, after, strict=True))

    everything = browser.find_element(By.ID, "play-all")
    assert everything.text == "Pause all"
    everything.send_keys(Keys.ENTER)
    still = lips(browser)
    time.sleep(0.3)
    assert lips(browser) == still

    one = browser.find_elements(By.CSS_SELECTOR, ".card .play")[2]
    one.send_keys(Keys.SPACE)
    assert one.get_attribute("aria-pressed") == "true"
    time.sleep(0.3)
    moved = [first != second for first, second in zip(still, lips(browser), strict=True)]
    assert moved[2] and sum(moved) == 1

    slider = browser.find_element(By.ID, "moment")
    slider.send_keys(Keys.HOME)
    start = lips(browser)
    slider.send_keys(Keys.END)
    movements = browser.execute_script("return JSON.parse(document.getElementById('movements').textContent)")
    assert start == [movement["frames"][0] for movement in movements.values()]
    assert lips(browser) == [movement["frames"][-1] for movement in movements.values()]
    assert browser.get_log("browser") == []


def test_less_motion_is_respected(browser, address):
    show(browser, address, DESKTOP, features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    before = lips(browser)
    time.sleep(0.3)
    assert lips(browser) == before
    assert browser.execute_script("return document.getElementById('play-all').textContent") == "Play all"


def test_everything_can_be_reached_by_keyboard(browser, address):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, address, DESKTOP)
    reached = set()
    for _ in range(120):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(browser.execute_script("return document.activeElement.outerHTML.slice(0, 80)"))
    wanted = browser.find_elements(By.CSS_SELECTOR, "button, input, summary, nav a, .scroll, pre")
    seen = {element.get_attribute("outerHTML")[:80] for element in wanted if element.is_displayed()}
    assert seen - reached == set()


def test_print_has_all_tables_and_still_mouths(browser, address, inputs):
    show(browser, address, (794, 1123), media="print")
    hidden = browser.execute_script(
        """return [...document.querySelectorAll('table, pre, .stills svg, figure svg')].filter(part => {
             const box = part.getBoundingClientRect();
             return !box.width || !box.height || !part.checkVisibility({contentVisibilityAuto: true});
           }).map(part => part.id || part.outerHTML.slice(0, 60))"""
    )
    assert hidden == []
    assert browser.execute_script("return document.querySelectorAll('table').length") == len(report_tables(inputs))
    assert browser.execute_script(
        "return [...document.querySelectorAll('table')].every(t => t.getBoundingClientRect().right <= innerWidth + 1)"
    )
    assert browser.execute_script("return getComputedStyle(document.querySelector('.player')).display") == "none"
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert (
        base64.b64decode(printed["data"]).count(b"/Type /Page\n")
        + base64.b64decode(printed["data"]).count(b"/Type /Page ")
        >= 5
    )


def test_dark_mode_turns_the_ink(browser, address):
    show(browser, address, DESKTOP, features=[{"name": "prefers-color-scheme", "value": "dark"}])
    ink = browser.execute_script("return getComputedStyle(document.querySelector('figure svg text')).fill")
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ink == "rgb(228, 231, 235)" and paper == "rgb(21, 24, 28)"
