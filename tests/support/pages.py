"""What a person does with a page, by Selenium."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def field(browser, title: str):
    """The input under a title of the form."""
    label = browser.find_element("xpath", f"//form//label[starts-with(normalize-space(), '{title}')]")
    return browser.find_element("id", label.get_attribute("for"))


def choose(browser, title: str, choice: str) -> None:
    field(browser, title).click()
    browser.find_element("xpath", f"//*[@role='option' and normalize-space()='{choice}']").click()


def is_sent(browser) -> bool:
    """Submits the form, once more if the server was too busy; it leaves the page when it is taken."""
    browser.find_element("css selector", "button[type=submit]").click()
    until = time.monotonic() + 5
    while (is_here := browser.current_url.endswith("/run")) and time.monotonic() < until:
        time.sleep(0.1)
    return not is_here


def shoot(browser, name: str) -> None:
    """A picture, where somebody wants to look at it."""
    if folder := os.environ.get("LM_SHOTS"):
        time.sleep(3)
        browser.save_screenshot(f"{folder}/{name}.png")


@contextmanager
def chromium(profile: Path) -> Iterator:
    """Chromium without a window; the test is skipped where there is none."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no chromium and chromedriver here (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-dev-shm-usage", "--window-size=1400,1300", f"--user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driven = webdriver.Chrome(options=options, service=Service(driver))
    driven.implicitly_wait(30)
    try:
        yield driven
    finally:
        driven.quit()
