"""What a person sees: lines, a live display in a terminal, one question, one result, and the log of it all."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from attrs import evolve

from penstock_io.batch.progress import Figures, Level
from penstock_io.cli.console import EVERY, Console
from penstock_io.cli.live import bar
from tests.figures import HALFWAY
from tests.terminals import Clock, Terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal that can all."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal.open()
    try:
        yield terminal
    finally:
        terminal.raw()


# Lines


def test_lines_are_plain_where_nobody_watches() -> None:
    """A note stands alone; warnings and errors get their word once, and several lines stay several."""
    out = io.StringIO()
    with Console(stream=out) as console:
        console.tell("checked 10 rows")
        console.tell("a detail", Level.DETAIL)
        console.tell("two\nlines\n", Level.WARNING)
        console.tell("no more", Level.ERROR)
        console.tell("penstock: error: at all", Level.ERROR)
    assert [
        "checked 10 rows", "warning: two", "lines", "penstock: error: no more", "penstock: error: at all",
    ] == out.getvalue().splitlines()  # fmt: skip


def test_progress_is_a_line_every_few_seconds_if_it_changed() -> None:
    """Nothing at once, a line after five seconds, none while only clocks move, and the last one at the end."""
    out, clock = io.StringIO(), Clock()
    with Console(stream=out, clock=clock) as console:
        console.update(evolve(HALFWAY, done=1))
        assert "" == out.getvalue()
        clock.now += EVERY - 0.1
        console.update(evolve(HALFWAY, done=2))
        assert "" == out.getvalue()
        clock.now += 0.1
        console.update(evolve(HALFWAY, done=3))
        assert 1 == out.getvalue().count("\n")
        clock.now += EVERY
        console.update(
            evolve(HALFWAY, done=3, eta=1.0, pace=0.1, seconds=99, waiting=HALFWAY.waiting.replace("12", "9"))
        )
        clock.now += EVERY
        console.update(evolve(HALFWAY, done=3, waiting=HALFWAY.waiting.replace("12", "7")))
        console.update(evolve(HALFWAY, done=4))
    lines = out.getvalue().splitlines()
    assert ["3", "4"] == [line.split()[0] for line in lines]
    assert "waiting" not in lines[-1]
    assert "left" not in lines[-1]


def test_progress_that_did_not_change_is_not_said_again_at_the_end() -> None:
    """A run whose last line stands already ends without another."""
    out, clock = io.StringIO(), Clock()
    with Console(stream=out, clock=clock) as console:
        for _ in range(3):
            console.update(HALFWAY)
            clock.now += EVERY
    assert 1 == out.getvalue().count("\n")


def test_quiet_shows_errors_and_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    """No notes, no warnings, no progress."""
    out, clock = io.StringIO(), Clock()
    with Console(quiet=True, verbose=True, stream=out, clock=clock) as console:
        for level in Level:
            console.tell(level.name, level)
        console.update(HALFWAY)
        clock.now += EVERY
        console.update(HALFWAY)
        console.result("the sums")
    assert "penstock: error: ERROR\n" == out.getvalue()
    assert "the sums\n" == capsys.readouterr().out


def test_verbose_shows_details() -> None:
    """With -v also what is a detail."""
    out = io.StringIO()
    with Console(verbose=True, stream=out) as console:
        console.tell("lane opened", Level.DETAIL)
    assert "lane opened\n" == out.getvalue()


# The live display


def test_a_terminal_shows_one_display_that_notes_scroll_above(terminal: Terminal) -> None:
    """However often it is drawn, one copy stands there; notes keep their order above, and the cursor comes back."""
    clock = Clock()
    with Console(stream=terminal.stream, clock=clock) as console:
        console.tell("before")
        for done in (1, 2, 3):
            clock.now += 1
            console.update(evolve(HALFWAY, done=done))
            console.tell(f"note {done}", Level.WARNING)
        console.update(evolve(HALFWAY, done=5000, failed=0, ambiguous=0, in_flight=0))
    assert [
        "before",
        "warning: note 1",
        "warning: note 2",
        "warning: note 3",
        "━" * 26 + " 5,000/5,000  100 % · 0 in flight · 118.3 images/min",
        "$1.2345 of $5.0000 spent · at most $0.0100 maybe billed · refused 3 times (429)",
        "1 server error (5xx)",
    ] == [line for line in terminal.screen() if line]
    assert terminal.raw().rfind("\x1b[?25h") > terminal.raw().rfind("\x1b[?25l") >= 0


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_no_line_of_the_display_is_wider_than_the_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Parts go to a line of their own rather than being cut, so that erasing finds every line."""
    monkeypatch.setenv("COLUMNS", str(columns))
    with Console(stream=terminal.stream) as console:
        console.update(HALFWAY)
    lines = terminal.screen()
    assert columns >= max(map(len, lines))
    if columns >= 40:
        assert all(part in " ".join(lines) for part in ("12 failed", "64 in flight", "$1.2345", "429", "5xx"))


def test_no_color_is_respected(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """No colours, and a bar whose two parts differ all the same."""
    monkeypatch.setenv("NO_COLOR", "1")
    with Console(stream=terminal.stream) as console:
        console.update(HALFWAY)
        console.tell("careful", Level.WARNING)
    colours = [int(code) for codes in re.findall(r"\x1b\[([0-9;]+)m", terminal.raw()) for code in codes.split(";")]
    assert [] == [code for code in colours if code >= 30]
    assert "######...................." in terminal.raw()


@pytest.mark.parametrize("kind", ["dumb", "unknown", "DUMB"])
def test_a_dumb_terminal_gets_plain_lines(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """No code at all reaches it."""
    monkeypatch.setenv("TERM", kind)
    with Console(stream=terminal.stream) as console:
        console.update(HALFWAY)
        console.tell("careful", Level.WARNING)
    assert "\x1b" not in terminal.raw()
    assert ["warning: careful", "1,234 of 5,000 rows"] == [line.split(",  ")[0][:19] for line in terminal.screen()[:2]]


def test_without_rich_a_terminal_gets_plain_lines(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The display is an extra; everything else works without it."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with Console(stream=terminal.stream) as console:
        console.update(HALFWAY)
        console.tell("careful", Level.WARNING)
    assert "\x1b" not in terminal.raw()
    assert [True, True] == ["careful" in terminal.raw(), "1,234 of 5,000 rows" in terminal.raw()]


def test_it_is_not_drawn_more_often_than_anyone_can_see(terminal: Terminal) -> None:
    """Updates within a fifth of a second are drawn once, the last of all always."""
    clock = Clock()
    with Console(stream=terminal.stream, clock=clock) as console:
        for done in range(50):
            clock.now += 0.01
            console.update(evolve(HALFWAY, done=done))
    assert ["0", "20", "40", "49"] == list(dict.fromkeys(re.findall(r"(\d+)/5,000", terminal.raw())))


def test_the_end_of_a_run_that_nobody_counted(terminal: Terminal) -> None:
    """While the input is being read there is no bar, and no rows at all are all of them."""
    with Console(stream=terminal.stream) as console:
        console.update(Figures(done=7))
    assert "7 rows done · 0 in flight · 0.0 images/min" == terminal.screen()[0]
    assert ("━━━━", "") == bar(0, 0, 4, plain=False)


def test_lines_break_between_words_in_a_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Notes before and above the display, and the result; where nobody watches lines stay whole."""
    monkeypatch.setenv("COLUMNS", "40")
    words = " ".join(f"word{number}" for number in range(12))
    with Console(stream=terminal.stream) as console:
        console.tell(words)
        console.update(HALFWAY)
        console.tell(words, Level.WARNING)
        with monkeypatch.context() as inner:
            inner.setattr(sys, "stdout", terminal.stream)
            console.result(words)
    lines = terminal.screen()
    assert 40 >= max(map(len, lines))
    assert 3 * [f"word{number}" for number in range(12)] == re.findall(r"word\d+", " ".join(lines))
    Console(stream=io.StringIO()).result(words)
    assert words + "\n" == capsys.readouterr().out


# Foreign texts


NASTY = "[red]x[/red] :smile: \x1b]0;title\x07\x1b[2J\x9b31m\r\u202egnp.exe \ud800"


def test_a_text_drives_no_terminal_and_is_no_markup(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    """What a server or a prompt says is shown as it is, with its controls spelled out, wherever it comes in."""
    with Console(stream=terminal.stream) as console:
        console.tell(NASTY)
        console.update(evolve(HALFWAY, waiting=NASTY))
        console.tell(NASTY)
        console.result(NASTY)
    safe = r"[red]x[/red] :smile: \x1b]0;title\x07\x1b[2J\x9b31m\x0d\u202egnp.exe \ud800"
    assert [safe, safe] == [line for line in terminal.screen() if line.startswith("[red]")]
    assert safe + "\n" == capsys.readouterr().out
    assert not set("\x07\x9b\u202e") & set(terminal.raw())


# The result


def test_a_result_stands_after_the_progress(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The display is over before the result is printed on the same terminal, and later figures draw nothing."""
    monkeypatch.setattr(sys, "stdout", terminal.stream)
    with Console(stream=terminal.stream) as console:
        console.update(HALFWAY)
        console.result("5,000 rows done\n")
        console.update(HALFWAY)
        console.tell("and a note")
    assert ["5,000 rows done", "and a note", ""] == terminal.screen()[-3:]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_result_fits_any_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """JSON stays JSON with the same meaning, other texts spell out what the encoding lacks."""
    value = {"id": "é 🦊 \u202e"}
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding))
    Console(json=True, stream=io.StringIO()).result(json.dumps(value, ensure_ascii=False))
    assert value == json.loads(buffer.getvalue().decode(encoding))
    Console(stream=io.StringIO()).result("é 🦊")
    assert ("é 🦊" if encoding == "utf-8" else "\\U0001f98a") in buffer.getvalue().decode(encoding)


# The question


@pytest.mark.parametrize(
    ("typed", "answer"), [("y\n", True), (" Yes \n", True), ("n\n", False), ("\n", False), ("\4", False)]
)
def test_a_question_is_asked_in_a_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, typed: str, answer: bool
) -> None:
    """Only a yes is one; the end of the input is none."""
    monkeypatch.setattr(sys, "stdin", terminal.keys)
    with Console(stream=terminal.stream) as console:
        assert console.interactive
        terminal.type(typed)
        assert answer is console.ask("Spend $2.0000?")
        console.tell("after")
    assert "Spend $2.0000? [y/N] " in terminal.raw()
    assert "after\r\n" == terminal.raw()[-7:]


def test_nobody_is_asked_where_nobody_answers(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """No terminal to ask in, none to answer from, no input at all, or a program that reads the result: it is a no."""
    with Console(stream=terminal.stream) as console:
        monkeypatch.setattr(sys, "stdin", None)
        assert not console.interactive
        monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
        assert not console.ask("?")
    monkeypatch.setattr(sys, "stdin", terminal.keys)
    assert not Console(stream=io.StringIO()).interactive
    assert not Console(stream=terminal.stream, json=True).interactive
    assert "" == terminal.raw()


# The log


def test_the_log_has_every_line_with_time_and_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is shown, and appended to what earlier runs wrote."""
    path, clock = tmp_path / "penstock.log", Clock()
    for _ in range(2):
        with Console(quiet=True, log_file=path, stream=io.StringIO(), clock=clock) as console:
            console.tell("a detail", Level.DETAIL)
            console.tell("two\nlines \x1b[2J", Level.WARNING)
            console.update(HALFWAY)
            console.result("sums")
    lines = path.read_text("utf-8").splitlines()
    stamps = {re.sub(r"\d", "9", line[:24]) for line in lines}
    assert {"9999-99-99T99:99:99.999Z"} == stamps
    assert 2 * ["DETAIL", "WARNING", "WARNING", "PROGRESS", "RESULT"] == [line[25:].split()[0] for line in lines]
    assert r"WARNING  lines \x1b[2J" == lines[2][25:]
    assert 2 == capsys.readouterr().out.count("sums")


def test_a_log_that_cannot_be_opened_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """The option and the file are named."""
    with pytest.raises(ValueError, match=r"--log-file .*gone.*cannot be written \(No such file.*: name a file"):
        Console(log_file=tmp_path / "gone" / "x.log")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_log_on_a_full_disk_stops_nothing() -> None:
    """It is said once, and the run goes on without a log."""
    out = io.StringIO()
    with Console(log_file=Path("/dev/full"), stream=out) as console:
        console.tell("one")
        console.tell("two")
    told = "warning: the log cannot be written any more (No space left on device); this goes on without"
    assert [told, "one", "two"] == out.getvalue().splitlines()


# A reader who leaves, and many who talk


def test_a_reader_who_leaves_stops_nothing() -> None:
    """A closed pipe, a closed stream or none at all: nothing is raised."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    with Console(stream=stream) as console:
        console.tell("x")
        console.tell("y", Level.ERROR)
    with suppress(OSError):
        stream.close()
    with Console(stream=stream) as console:
        console.tell("x")
        console.update(HALFWAY)


def test_a_terminal_that_hangs_up_stops_nothing(terminal: Terminal) -> None:
    """The display is given up and the run goes on."""
    clock = Clock()
    with Console(stream=terminal.stream, clock=clock) as console:
        console.update(HALFWAY)
        terminal.raw()
        clock.now += 1
        console.update(evolve(HALFWAY, done=2))
        console.tell("x", Level.ERROR)


def test_a_process_without_standard_streams_runs() -> None:
    """`2>&- <&-` leaves Python without both."""
    code = "from penstock_io.cli.console import Console\nc = Console(); c.tell('x'); print(c.ask('?'))"
    shell = ["/bin/sh", "-c", f'exec "{sys.executable}" -c "$0" 2>&- <&-', code]
    done = subprocess.run(shell, capture_output=True, text=True, check=False, timeout=240)
    assert (0, "False\n") == (done.returncode, done.stdout)


@pytest.mark.parametrize("live", [True, False])
def test_many_threads_may_talk_at_once(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, live: bool) -> None:
    """Every note of every thread stands whole on a line of its own, in its thread's order."""
    if not live:
        monkeypatch.setenv("TERM", "dumb")
    clock = Clock()

    def talk(thread: int) -> None:
        for number in range(50):
            clock.now += 0.1
            console.update(evolve(HALFWAY, done=number))
            console.tell(f"note {thread} {number}")

    with Console(stream=terminal.stream, clock=clock) as console:
        talkers = [Thread(target=talk, args=(thread,)) for thread in range(6)]
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join()
    notes = [line for line in terminal.screen() if line.startswith("note")]
    for thread in range(6):
        assert [f"note {thread} {n}" for n in range(50)] == [
            note for note in notes if note.startswith(f"note {thread}")
        ]
