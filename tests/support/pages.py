"""What a person does with a page, by Selenium."""

import os
import time


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
