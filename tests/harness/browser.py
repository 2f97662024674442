# SPDX-License-Identifier: Apache-2.0
"""Chromium without a window, and tagway's page in it."""

import contextlib
import json
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from .process import wait_until

FLAGS = ("--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1400,900")


@contextlib.contextmanager
def open_browser():
    options = webdriver.ChromeOptions()
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory() as profile:
        options.add_argument(f"--user-data-dir={profile}")
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        driver.get("about:blank")  # ends the requests of the start page
        try:
            yield driver
        finally:
            driver.quit()


class Page:
    """The open page."""

    def __init__(self, browser, proxy, query="", path="/routes"):
        self.browser = browser
        self.proxy = proxy
        for kind in ("browser", "performance"):
            browser.get_log(kind)  # forget what was before
        browser.get(f"{proxy.admin_url}{path}{query}")

    def all(self, selector):
        # Read in one step: rows may be replaced between two.
        return self.browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].filter((e) => e.offsetParent)"
            ".map((e) => e.innerText)", selector)

    def text(self, selector):
        return (self.all(selector) or [""])[0]

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def targets(self):
        """Rows of targets as {service: {column: text}}."""
        return self.run("""
            const rows = {};
            for (const row of document.querySelectorAll(".row.target")) {
              const cells = {};
              for (const cell of row.children) cells[cell.classList[1]] = cell.innerText;
              rows[cells.service] = cells;
            }
            return rows;""")

    def wait_targets(self, count):
        wait_until(lambda: len(self.all(".row.target")) == count, 15, f"{count} targets, "
                   f"not {self.all('.row.target')}")

    def type(self, text):
        field = self.browser.find_element(By.ID, "filter")
        field.clear()
        field.send_keys(text)

    def assert_clean(self, but="\0"):
        """Nothing on the console (but what contains `but`), nothing asked of anybody else."""
        errors = [entry for entry in self.browser.get_log("browser")
                  if entry["level"] in ("SEVERE", "WARNING") and but not in entry["message"]]
        assert not errors, errors
        asked = []
        for entry in self.browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.append(message["params"]["request"]["url"])
        assert asked
        foreign = [url for url in asked if not url.startswith(self.proxy.admin_url + "/")]
        assert not foreign, foreign
