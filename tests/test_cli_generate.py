"""`penstock generate`: names settled before anything is paid, errors by name, nothing paid thrown away."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from penstock.requests import ImageRequest
from penstock_io.cli.buying import Spending, asking, request_of
from penstock_io.cli.config import resolve
from penstock_io.cli.connecting import Connection
from penstock_io.cli.console import Console
from penstock_io.cli.main import main
from penstock_io.cli.options import GENERATE
from penstock_io.simserver import SimServer, serving

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def cheap(sim: SimServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for where a test does not say."""
    del sim
    for name, text in (("QUALITY", "low"), ("SIZE", "1024x1024"), ("MODEL", "gpt-image-2")):
        monkeypatch.setenv(f"PENSTOCK_{name}", text)


def received(sim: SimServer) -> int:
    """Requests that the provider has seen."""
    return sim.stats()["received"]


def names() -> list[str]:
    """Files of the folder."""
    return sorted(path.name for path in Path().iterdir())


def test_a_picture(sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """It is there, whole, and one line says where, of which model, and what it cost."""
    assert 0 == main(["generate", "a red fox", "-o", "fox.png"])
    told = capsys.readouterr()
    assert (["fox.png"], True) == (names(), Path("fox.png").read_bytes().startswith(PNG))
    assert told.out.startswith("fox.png: gpt-image-2, 1024x1024, $0.0")
    assert "1 picture of gpt-image-2 for at most $0.0" in told.err
    assert 0 < received(sim)


def test_several_pictures_are_numbered(sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """With `-n 3` they are -1 to -3, and the JSON names them all with their sum."""
    assert 0 == main(["generate", "a red fox", "-o", "fox.png", "-n", "3", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert ["fox-1.png", "fox-2.png", "fox-3.png"] == names() == told["files"]
    assert (0, True, None) == (told["exit_code"], float(told["cost_usd"]) > 0, told.get("error"))
    assert 3 == sim.call(lambda server: server.settings.limits.burst) + 2


def test_what_is_there_is_not_overwritten(sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is taken ends it with 2 before anything is paid; `--overwrite` replaces a file, but no folder."""
    Path("fox-2.png").write_text("mine")
    Path("dog.png").mkdir()
    before = received(sim)
    assert 2 == main(["generate", "a red fox", "-o", "fox.png", "--n", "3"])
    assert "fox-2.png is there already: take another name, or --overwrite" in capsys.readouterr().err
    assert 2 == main(["generate", "a dog", "-o", "dog.png/", "--overwrite", "--output-format", "gif"])
    assert (before, ["dog.png", "fox-2.png"], "mine") == (received(sim), names(), Path("fox-2.png").read_text())
    assert 0 == main(["generate", "a red fox", "-o", "fox.png", "--n", "2", "--overwrite"])
    assert Path("fox-2.png").read_bytes().startswith(PNG)


def test_names_from_prompts_and_in_folders(sim: SimServer) -> None:
    """Without a name the prompt gives one; a folder takes it; a name without extension gets the real one."""
    Path("there").mkdir()
    assert 0 == main(["generate", "A red FOX, in the snow!"])
    assert 0 == main(["generate", "ö", "-o", "there"])
    assert 0 == main(["generate", "a fox", "-o", "fox.v2"])
    assert ["a-red-fox-in-the-snow.png", "fox.v2.png", "there"] == names()
    assert Path("there/picture.png").exists()
    assert 0 < received(sim)


def test_the_extension_says_the_format(
    sim: SimServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the server sends something else it is said. Two formats at once are a mistake, and one not to be had."""
    assert 0 == main(["generate", "a fox", "-o", "fox.jpg"])
    assert "warning: fox.jpg is a png, whatever its name says" in capsys.readouterr().err
    before = received(sim)
    assert 2 == main(["generate", "a fox", "-o", "fox.webp", "--output-format", "png"])
    assert "--output-format png: fox.webp is the name of a webp" in capsys.readouterr().err
    assert 2 == main(["generate", "a fox", "-o", "fox.gif"])
    assert "output_format gif is none of png, jpeg, webp, which gpt-image-2 takes" in capsys.readouterr().err
    monkeypatch.setenv("PENSTOCK_OUTPUT_FORMAT", "jpeg")
    assert 2 == main(["generate", "a fox", "-o", "fox.svg"])
    assert "PENSTOCK_OUTPUT_FORMAT jpeg: fox.svg is the name of a svg" in capsys.readouterr().err
    assert before == received(sim)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["-o", "fox.jpg"], "jpeg"),
        (["-o", "fox.JPEG"], "jpeg"),
        (["-o", "fox.webp", "--output-format", "webp"], "webp"),
        (["-o", "fox"], None),
        (["-o", "fox.svg", "--model", "gpt-image-2.6-flare"], "svg"),
    ],
)
def test_the_provider_is_asked_for_the_format_of_the_name(words: list[str], asked: str | None, sim: SimServer) -> None:
    """What goes over the wire says it; a name without an extension leaves it to the provider."""
    Stranger.heard.clear()
    with elsewhere() as other:
        main(["generate", "a fox", *words, "--base-url", other, "--quiet"])
    assert [asked] == [json.loads(body).get("output_format") for body in Stranger.heard]
    assert ([], True) == (names(), received(sim) >= 0)


def test_standard_output_takes_the_bytes(sim: SimServer, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """`-o -` writes one picture and nothing else there; neither several nor JSON fit beside it."""
    assert 0 == main(["generate", "a fox", "-o", "-"])
    told = capfdbinary.readouterr()
    assert (True, True) == (told.out.startswith(PNG), told.out.rstrip().endswith(b"IEND\xaeB`\x82"))
    assert b"gpt-image-2, 1024x1024, $0.0" in told.err
    assert 2 == main(["generate", "a fox", "-o", "-", "-n", "2"])
    assert b"standard output takes one picture, not 2" in capfdbinary.readouterr().err
    assert 2 == main(["generate", "a fox", "-o", "-", "--json"])
    assert b"standard output takes the picture" in capfdbinary.readouterr().err
    assert [] == names()
    assert 0 < received(sim)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "PROMPT is missing"),
        (["a fox", "--size", "7x7"], 2, "error: size 7x7 "),
        (["a fox", "--model", "no such model"], 2, "model must be a name"),
        (["a fox", "--seed", "1", "-o", "no/such/fox.png"], 2, "there is no folder no/such: make it first"),
        (["a fox", "--seed", "1", "-o", "fox.BMP"], 2, "--out fox.BMP: no provider makes .bmp: name it .png"),
        (["a fox", "--api-key-env", "NO_SUCH_KEY"], 2, "no API key in the environment variable NO_SUCH_KEY"),
        ([" "], 2, "prompt must be a text that is not empty"),
        (["a fox", "--budget", "0.000001"], 3, "error: BudgetExceeded: "),
        (["a fox", "--config", "none.toml"], 2, "none.toml: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], code: int, words: str, sim: SimServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each mistake has its exit code, and the same message in JSON; no file is made."""
    assert code == main(["generate", *arguments])
    assert words in capsys.readouterr().err
    assert code == main(["generate", *arguments, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (code, True) == (told["exit_code"], bool(told["error"]["message"]))
    assert ([], True) == (names(), received(sim) >= 0)


def test_errors_come_by_name_with_a_remedy(sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal of the content is 1 and says to word it otherwise; a refused key is 4 and names its variable only."""
    sim.call(lambda server: server.inject("moderation"))
    assert 1 == main(["generate", "something rude"])
    said = capsys.readouterr().err
    assert "error: ContentRefused: " in said
    assert "change the prompt" in said
    sim.call(lambda server: server.revoke("revoked-key"))
    os.environ["OPENAI_API_KEY"] = "revoked-key"
    assert 4 == main(["generate", "a fox"])
    said = capsys.readouterr().err
    assert "OPENAI_API_KEY" in said
    assert "revoked-key" not in said


def test_what_a_provider_announced_is_said_before(sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """That a model is gone is a warning, once, with what takes its place, and above what it brings."""
    assert 0 == main(["generate", "a fox", "--model", "dall-e-3"])
    said = capsys.readouterr().err.splitlines()
    assert "1 picture of dall-e-3 for an amount that is not known" == said[0]
    assert "warning: dall-e-3 was shut down on " in said[1]
    assert ([], True) == ([line for line in said[2:] if "shut down" in line], received(sim) > 0)


def test_nobody_there_is_said(sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """An address where nobody listens, or where something else does, ends with 4 and names the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    with elsewhere() as other:
        for url in (nobody, other):
            assert 4 == main(["generate", "a fox", "--base-url", url])
            said = capsys.readouterr().err
            assert f"Is {url} the address of the API?" in said
            assert ".." not in said
    assert ([], True) == (names(), received(sim) >= 0)


class Stranger(BaseHTTPRequestHandler):
    """A server of other things, which remembers what was `heard`."""

    heard: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        """It knows no such path."""
        self.heard.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Nothing is logged."""


@contextmanager
def elsewhere() -> Iterator[str]:
    """The address of a server that knows no such path."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        Thread(target=server.serve_forever, args=(0.05,)).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_the_prompt_may_come_from_a_pipe(sim: SimServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`-` reads it, as UTF-8; what is not is said."""
    text = tmp_path / "prompt"
    for content, code in (("ein Füchslein\n".encode(), 0), (b"\xff", 2)):
        text.write_bytes(content)
        with text.open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            assert code == main(["generate", "-", "-o", "fuchs.png", "--overwrite"])
    assert 0 < received(sim)


def test_somebody_at_a_terminal_is_asked_above_a_dollar(sim: SimServer) -> None:
    """Forty pictures of high quality are asked for; without a yes nothing is sent and nothing is made."""
    before = received(sim)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "penstock_io", "generate", "a fox", "-n", "40", "--quality", "high"]
    process = subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    said = b""
    while b"[y/N]" not in said:
        said += os.read(ours, 4096)
    os.write(ours, b"n\n")
    process.communicate(timeout=240)
    os.close(ours)
    assert (2, before, []) == (process.returncode, received(sim), names())
    assert b"40 pictures cost at most $" in said


def test_an_interrupt_waits_for_what_is_paid(sim: SimServer) -> None:
    """Ctrl-C once: the picture that is out arrives and is saved, and the exit code is 130."""
    with serving() as slow:
        code, told, said = interrupted(slow, 1)
    assert (130, 130, ["fox.png"], ["fox.png"]) == (code, told["exit_code"], told["files"], names())
    assert "waiting for 1 request on the way and paid for" in said
    assert 0 <= received(sim)


def test_an_interrupt_while_pictures_are_saved_does_not_lose_them(sim: SimServer) -> None:
    """It is heard until they are safe; then whoever heard of it before hears of it again."""
    before = signal.getsignal(signal.SIGINT)
    with asking(Console(quiet=True)) as ask:
        bought = ask(
            ImageRequest(prompt="a fox", model="gpt-image-2", quality="low", size="1024x1024"),
            Connection("openai", sim.base_url, {"OPENAI_API_KEY": "test-key"}, {}),
            Spending(),
        )
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        Path("fox.png").write_bytes(bought.result.images[0].data)
    assert (["fox.png"], before) == (names(), signal.getsignal(signal.SIGINT))


def test_a_second_interrupt_breaks_off(sim: SimServer) -> None:
    """Ctrl-C twice: nobody knows whether it is billed, and that is said with its bound."""
    with serving() as stuck:
        code, told, said = interrupted(stuck, 2)
        billed = stuck.stats()["billed"]
    assert (130, 130, [], []) == (code, told["exit_code"], told["files"], names())
    maybe = Decimal(str(told["maybe_billed_usd"]))
    assert 0 < billed <= maybe * 10**12
    assert "error: Ambiguous: " in said
    assert f"It is at most ${round(maybe, 4)}; " in said
    assert 0 <= received(sim)


def interrupted(sim: SimServer, times: int) -> tuple[int, dict[str, object], str]:
    """A command that is interrupted while its request is out: its exit code, its JSON and what it said."""
    words = ["a fox", "-o", "fox.png", "--json", "--base-url", sim.base_url]
    sim.hold()
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock_io", "generate", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while not sim.stats()["in_flight"]:
        assert process.poll() is None
    said = ""
    for word in ("interrupted: ", "interrupted again")[:times]:
        process.send_signal(signal.SIGINT)
        while word not in said:
            said += process.stderr.readline()
            assert process.poll() is None or word in said
    sim.release()
    out, rest = process.communicate(timeout=240)
    return process.returncode, json.loads(out), said + rest


@pytest.mark.parametrize(
    ("model", "format_", "asked"),
    [
        ("gpt-image-2", "jpeg", "jpeg"),
        ("gpt-image-2", None, None),
        ("a/model", "png", None),
        ("a/model", "webp", "webp"),
    ],
)
def test_the_name_says_the_format_where_it_can_be_said(model: str, format_: str | None, asked: str | None) -> None:
    """A model is told what it can be told, and one that no catalog knows only what is not usual anyway."""
    assert asked == request_of(resolve({"model": model}, GENERATE, {}), "a fox", format_).output_format
    told = resolve({"model": model, "output_format": "webp"}, GENERATE, {})
    assert "webp" == request_of(told, "a fox", None).output_format
