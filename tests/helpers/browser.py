"""Chromium without a window, steered through its DevTools protocol."""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import websocket

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # as root
    "--disable-gpu-sandbox",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--enable-unsafe-swiftshader",  # WebGL without a GPU
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Browser:
    """A browser with one page; use as a context manager.

    Attributes:
        errors: what the page wrote to its console as an error, and what it threw.
        requests: addresses that the page asked for.
    """

    def __init__(self, *options):
        self.options, self.errors, self.requests = options, [], []
        self.numbers = itertools.count(1)

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [CHROMIUM, *OPTIONS, *self.options, "about:blank"]
        command.append(f"--user-data-dir={self.folder.name}")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, **quiet)
        found = Path(self.folder.name) / "DevToolsActivePort"
        waited(lambda: found.is_file() and found.read_text().count("\n"))
        port = found.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as stream:
            (page,) = [p for p in json.load(stream) if p["type"] == "page"]
        address = page["webSocketDebuggerUrl"]
        self.socket = websocket.create_connection(
            address, timeout=30, suppress_origin=True
        )
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *failure):
        self.socket.close()
        self.process.terminate()
        self.process.wait(10)
        self.folder.cleanup()

    def call(self, method, **parameters):
        """The result of a command of the protocol."""
        number = next(self.numbers)
        command = {"id": number, "method": method, "params": parameters}
        self.socket.send(json.dumps(command))
        while True:
            message = json.loads(self.socket.recv())
            self._notice(message)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _notice(self, message):
        what, about = message.get("method"), message.get("params", {})
        if what == "Runtime.exceptionThrown":
            self.errors.append(str(about["exceptionDetails"]))
        elif what == "Runtime.consoleAPICalled" and about["type"] == "error":
            self.errors.append(str(about["args"]))
        elif what == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.errors.append(about["entry"]["text"])
        elif what == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])

    def run(self, script):
        """The value of a JavaScript expression, a promise's when it is kept."""
        given = {"returnByValue": True, "awaitPromise": True}
        result = self.call("Runtime.evaluate", expression=script, **given)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, address, width, height=900, scheme="light"):
        """Load a page of a width, and wait until it has settled."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", mobile=width < 500, **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call("Page.navigate", url=address)
        waited(lambda: self.run("document.readyState") == "complete")
        self.run("new Promise(requestAnimationFrame)")

    def drag(self, x, y, distance):
        """Press at a point, move to the right, release."""
        mouse = "Input.dispatchMouseEvent"
        given = {"button": "left", "buttons": 1, "clickCount": 1}
        self.call(mouse, type="mousePressed", x=x, y=y, **given)
        for step in (0.3, 0.7, 1.0):
            self.call(mouse, type="mouseMoved", x=x + step * distance, y=y, **given)
        self.call(mouse, type="mouseReleased", x=x + distance, y=y, button="left")

    def picture(self, path, full=False):
        """Write what is seen, or the full page, as a PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=full)
        Path(path).write_bytes(base64.b64decode(found["data"]))


def waited(condition, seconds=20):
    """Wait until a condition holds; AssertionError if it does not."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found
