"""Headless Chromium, driven through WebDriver: https://www.w3.org/TR/webdriver2/"""

import base64
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tests.servers import free_port, leashed, program, wait_until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars")


class Browser:
    """One window. Elements are found by XPath; each method waits for what it asks for, and fails the test in vain."""

    def __init__(self, *, width: int = 1280, height: int = 900) -> None:
        self._driver = program("chromedriver")
        self._options = {
            "binary": program("chromium", "chromium-browser", "google-chrome"),
            "args": [*_ARGUMENTS, f"--window-size={width},{height}"],
        }
        self._address = f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._session = ""

    def __enter__(self) -> Self:
        argv = leashed([self._driver, f"--port={self._address.rpartition(':')[2]}", "--log-level=OFF"])
        self._process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._is_ready, "chromedriver")
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": self._options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        self._session = self._call("POST", "/session", capabilities={"alwaysMatch": wanted})["sessionId"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            self._call("DELETE", f"/session/{self._session}")
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def open(self, url: str) -> None:
        """Go to an address, and return once the page is loaded."""
        self._do("/url", url=url)

    def click(self, xpath: str) -> None:
        """Click the first such element."""
        self._do(f"/element/{self._find(xpath)}/click")

    def write(self, xpath: str, text: str) -> None:
        """Type into the first such element."""
        self._do(f"/element/{self._find(xpath)}/value", text=text)

    def sees(self, *texts: str) -> None:
        """Return once the page shows all of these."""
        wait_until(lambda: all(text in self.text() for text in texts), f"{texts} on the page")

    def text(self) -> str:
        """What the page shows."""
        return str(self.run("return document.body.innerText"))

    def run(self, script: str) -> Any:
        """What a script returns."""
        return self._do("/execute/sync", script=script, args=[])

    def complaints(self) -> list[str]:
        """What the console has of errors, such as a refused script, since the last question."""
        found = self._do("/se/log", type="browser")
        return [entry["message"] for entry in found if entry["level"] == "SEVERE"]

    def photograph(self, file: Path) -> None:
        """The window as a PNG."""
        file.write_bytes(base64.b64decode(self._call("GET", f"/session/{self._session}/screenshot")))

    def _find(self, xpath: str) -> str:
        found: list[dict[str, str]] = []

        def look() -> bool:
            found[:] = self._do("/elements", using="xpath", value=xpath)
            return bool(found)

        wait_until(look, xpath)
        return found[0][ELEMENT]

    def _do(self, path: str, **arguments: Any) -> Any:
        return self._call("POST", f"/session/{self._session}{path}", **arguments)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        body = arguments if method == "POST" else None
        answer = requests.request(method, f"{self._address}{path}", json=body, timeout=60)
        value = answer.json()["value"]
        assert answer.ok, value
        return value

    def _is_ready(self) -> bool:
        try:
            return bool(requests.get(f"{self._address}/status", timeout=10).json()["value"]["ready"])
        except requests.RequestException:
            return False
