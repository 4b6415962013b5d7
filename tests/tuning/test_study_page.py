"""The page of a study: all parts, also with few trials, and in a real browser."""

import dataclasses
import re
import shutil

import made_up_study
import pytest

from agser_core.tuning.page import study_page

FIGURES = {"parallel-coordinates", "learning-curves", "progress", "importance", "ranking", "score-and-target"}


@pytest.fixture(scope="module")
def study():
    return made_up_study.study()


@pytest.fixture(scope="module")
def page(study):
    return study_page(study)


def test_all_parts_are_there_and_nothing_comes_from_elsewhere(page, study):
    assert set(re.findall(r'<figure id="figure-([\w-]+)"', page)) == FIGURES
    assert set(re.findall(r'<table id="table-([\w-]+)"', page)) == {"best", "trials", "ranking", "finals", "cost"}
    assert (
        not re.findall(r'(?:src|href)="http', page) and "made &lt;up&gt;" in page and "&lt;bad &amp; worse&gt;" in page
    )
    assert page == study_page(study)
    trials = set(study.curves["trial"])
    for figure in ("parallel-coordinates", "learning-curves"):
        assert {int(number) for number in re.findall(rf'id="{figure}-trial-(\d+)"', page)} == trials


def test_the_setting_that_was_planted_is_the_most_important(study):
    assert set(study.importance["setting"][:2]) == {"learning_rate", "anchor.form"}
    assert study.explained > 0.5


def test_few_trials_say_what_is_missing():
    page = study_page(dataclasses.replace(made_up_study.study(4), ranking=None))
    assert "Too few trials for the importance" in page and "Too few trials finished" in page


@pytest.mark.slow
def test_in_a_browser(page, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no headless browser here: install chromium and its driver (Debian: chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    file = tmp_path / "study.html"
    file.write_text(page, encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options=options, service=Service(driver))
    try:
        for width, height in ((1200, 900), (390, 844)):
            session.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
            )
            session.get(file.as_uri())
            assert session.get_log("browser") == []
            assert session.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
            sizes = session.execute_script(
                "return [...document.querySelectorAll('figure svg')].map(svg => {"
                "const box = svg.getBoundingClientRect(); return [box.width, box.height];})"
            )
            assert len(sizes) == len(FIGURES) and all(wide > 200 and high > 60 for wide, high in sizes)
            outside = session.execute_script(
                """return [...document.querySelectorAll('figure svg text')].filter(text => {
                     const inner = text.getBoundingClientRect(), outer = text.closest('svg').getBoundingClientRect();
                     return inner.width && (inner.left < outer.left - 2 || inner.right > outer.right + 2);
                   }).map(text => text.textContent)"""
            )
            assert outside == []
        row = session.find_elements("css selector", "#table-trials tbody tr")[0]
        row_trial = row.find_element("css selector", "th").text
        session.execute_script("arguments[0].focus()", row)
        out = session.execute_script("return [...document.querySelectorAll('.out')].map(one => one.id)")
        assert sorted(out) == [f"learning-curves-trial-{row_trial}", f"parallel-coordinates-trial-{row_trial}"]
        session.execute_script("arguments[0].blur()", row)
        assert session.execute_script("return document.querySelectorAll('.out').length") == 0
    finally:
        session.quit()
