"""Pages in a real browser, for the tests of what is written for one."""

import functools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


class Opened(NamedTuple):
    """A page in the browser.

    Attributes:
        page: To ask and to click.
        problems: What went wrong so far: errors and warnings on the console, and requests for anything but the file.
    """

    page: "Page"
    problems: list[str]


class OpenPage(Protocol):
    def __call__(self, path: Path, *, width: int = 1280, dark: bool = False) -> Opened: ...


@contextmanager
def started_browser() -> Iterator[OpenPage]:
    """Yields a function that opens a file and waits until it has loaded; skips the test where there is no browser.

    For a fixture of a module, not of the session: while the browser runs, no other test of the thread could start an
    event loop.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip(f"no browser, expected one of {', '.join(names)}")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield functools.partial(_open_page, browser)
        browser.close()


def _open_page(browser: "Browser", path: Path, *, width: int = 1280, dark: bool = False) -> Opened:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
    problems: list[str] = []
    address = path.resolve().as_uri()

    def note_request(url: str) -> None:
        if url != address and not url.startswith("data:"):
            problems.append(f"request for {url}")

    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: note_request(request.url))
    page.goto(address)
    return Opened(page, problems)
