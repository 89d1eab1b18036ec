"""Chromium without a window, driven over its DevTools pipe, with the standard library alone and in real time.

Whoever waits, waits for something that is told, and `LONG` seconds are so many that nothing comes any more.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TypeAlias, TypeVar

Told: TypeAlias = "dict[str, int | str | bool | list[str]]"
Message: TypeAlias = "dict[str, object]"
T = TypeVar("T")

LONG = 120.0

# The browser listens on descriptor 3 and tells on 4; it ends when there is nobody at the other end.
START = 'exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>&2'
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-pipe"
).split()

DRIVE = """(async () => {
  const told = {}, w = window, d = document;
  const all = (what) => [...d.querySelectorAll(what)];
  const heard = (what, target) => new Promise((done) => target.addEventListener(what, done, { once: true }));
  const until = async (holds) => {
    for (const end = performance.now() + %d; !holds(); await new Promise((done) => setTimeout(done, 10)))
      if (performance.now() > end) throw new Error(`it never held: ${holds}`);
  };
  const scroll = async (y) => { const moved = heard("scroll", w); w.scrollTo(0, y); await moved; };
  const key = (name, target) => (target || d.activeElement).dispatchEvent(
    new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  %s
  return JSON.stringify(told);
})()"""


def part(message: Message, name: str) -> Message:
    """A message within a message; an empty one where there is none."""
    found = message.get(name)
    return found if isinstance(found, dict) else {}


class Chromium:
    """A browser that runs; see `chromium`."""

    def __init__(self, program: str, folder: Path) -> None:
        self._said = folder / "stderr.txt"
        command = ["/bin/sh", "-c", START, program, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
        self._numbers = count(1)
        self._rest = b""
        self._answers: dict[object, Message] = {}
        self.events: list[Message] = []

    def call(self, method: str, parameters: Message | None = None, session: str = "") -> Message:
        """Ask the browser, or one of its pages, and give what it answers; `AssertionError` where it refuses."""
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": parameters or {}}
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(asked | ({"sessionId": session} if session else {})).encode() + b"\0")
            self.process.stdin.flush()
        except BrokenPipeError:
            self._fail("ended", method)
        answer = self.wait(lambda: self._answers.pop(number, None), method)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return part(answer, "result")

    def wait(self, found: Callable[[], T | None], what: str) -> T:
        """Read what the browser tells until something is found in it."""
        end = time.monotonic() + LONG
        while (answer := found()) is None:
            self._read(end, what)
        return answer

    def _read(self, end: float, what: str) -> None:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            self._fail("told nothing more", what)
        new = os.read(self.process.stdout.fileno(), 1 << 16)
        if not new:
            self._fail("ended", what)
        *whole, self._rest = (self._rest + new).split(b"\0")
        for each in whole:
            message: Message = json.loads(each)
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self.events.append(message)

    def _fail(self, how: str, what: str) -> None:
        said = self._said.read_text("utf-8", "replace")[-4000:]
        raise AssertionError(f"the browser {how} ({what}, exit status {self.process.poll()}); it said:\n{said}")

    @contextmanager
    def page(self, address: str, width: int = 1440, height: int = 900) -> Iterator[Page]:
        """A new page of that address in a view of that size, once it is loaded; closed at the end."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, str(session))
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setFocusEmulationEnabled", {"enabled": True})
        page.resize(width, height)
        page.call("Page.navigate", {"url": address})
        self.wait(lambda: page.heard("Page.loadEventFired") or None, f"load {address}")
        yield page
        self.call("Target.closeTarget", {"targetId": target})


class Page:
    """A page of the browser."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, parameters: Message | None = None) -> Message:
        """Ask the page."""
        return self._browser.call(method, parameters, self._session)

    def heard(self, *methods: str) -> list[Message]:
        """What the page told so far, of these kinds."""
        told = [each for each in self._browser.events if each.get("sessionId") == self._session]
        return [part(each, "params") for each in told if each["method"] in methods]

    def logged(self) -> list[str]:
        """What was logged: by the page, about it, and what it threw."""
        entries = [part(each, "entry") for each in self.heard("Log.entryAdded")]
        calls = self.heard("Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [f"{each.get('text')} {each.get('url', '')}".strip() for each in entries] + [
            json.dumps(each) for each in calls
        ]

    def until_logged(self, number: int) -> list[str]:
        """Wait until so much is logged, or more."""
        return self._browser.wait(lambda: told if len(told := self.logged()) >= number else None, f"{number} logged")

    def run(self, script: str) -> Told:
        """Let a script use the page (`DRIVE` says what it finds there); gives what it told."""
        whole = {"expression": DRIVE % (LONG * 500, script), "awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", whole)
        assert "exceptionDetails" not in answer, part(part(answer, "exceptionDetails"), "exception").get("description")
        told: Told = json.loads(str(part(answer, "result")["value"]))
        return told

    def resize(self, width: int, height: int) -> None:
        """Give the view another size."""
        size: Message = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", size)

    def press(self, key: str, code: int) -> None:
        """Press a key and let it go, as a hand does."""
        for kind in ("rawKeyDown", "keyUp"):
            pressed: Message = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", pressed)


@contextmanager
def chromium(program: str, folder: Path) -> Iterator[Chromium]:
    """A browser with a profile of its own in a folder that is empty; it ends by itself with the block."""
    browser = Chromium(program, folder)
    try:
        yield browser
    finally:
        assert browser.process.stdin is not None
        assert browser.process.stdout is not None
        browser.process.stdin.close()
        browser.process.stdout.close()
        try:
            browser.process.wait(LONG)
        except subprocess.TimeoutExpired:
            browser.process.kill()
            browser.process.wait()
            raise
