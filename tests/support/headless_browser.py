"""A real browser without a window: Debian's chromium through selenium; without them tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900")


@contextmanager
def headless_browser() -> Iterator[Chrome]:
    """A browser that keeps what pages print on their consoles; ended at last."""
    webdriver: Any = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (extra test)")
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.skip("no chromium and chromedriver on this machine (Debian: apt install chromium chromium-driver)")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in _FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(programs[1]))
    try:
        yield browser
    finally:
        browser.quit()


def console_errors(browser: Chrome) -> list[str]:
    """What went wrong on its pages since this was asked last."""
    return [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
