"""`penstock batch` and what people and programs see of it: figures, consent, mistakes, JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from types import SimpleNamespace

import pytest

from penstock.simulation.server import Latency, ServerSettings
from penstock_io.cli.main import main
from penstock_io.journal import Journal
from penstock_io.simserver import SimServer, serving
from tests.batch_command import PENSTOCK, Command


@pytest.fixture(scope="module")
def quick() -> Iterator[SimServer]:
    """A provider for tests that read what is said."""
    with serving(ServerSettings(latency=Latency(0.02, 0.0))) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(no_options: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and no options from whoever runs the tests."""
    del no_options
    monkeypatch.setenv("TEST_KEY", "test-key")


@pytest.fixture
def command(tmp_path: Path, quick: SimServer, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in an empty folder, with a quick provider."""
    return Command(tmp_path, quick, capsys)


# What is said


def test_a_batch_says_what_it_will_do_and_what_it_did(command: Command) -> None:
    """Rows checked, price, time and disk first; the sums on standard output, with the gallery."""
    command.rows(*({"prompt": f"kettle {n % 3}"} for n in range(4)))
    code, out, err = command.run()
    assert 0 == code
    for word in ("4 rows checked in ", "1 of 4 rows repeat another", "price: at most $0.0", "disk: "):
        assert word in err
    assert "--model names another" not in err
    assert out.startswith("4 rows: 4 completed; 4 images; $0.0")
    assert out.endswith(f"see {command.out / 'index.html'}\n")
    again, _, err = command.run()
    assert (0, True) == (again, "4 rows: 4 done, nothing to send" in err)


def test_json_is_one_object(command: Command) -> None:
    """With `--json` standard output has the sums, the exit code and the message, and nothing besides."""
    _, out, _ = command.run("--json", "--limit", "2")
    told = json.loads(out)
    assert (2, 10, 0, "") == (told["completed"], told["pending"], told["exit_code"], told["message"])
    sums = json.loads((command.out / "summary.json").read_text())
    assert sums == {name: value for name, value in told.items() if name not in {"exit_code", "message"}}


def test_errors_are_json_too(command: Command) -> None:
    """Usage, input with all its mistakes, consent and the folder: each is one object with its kind."""
    command.rows({"prompt": "a"}, {"promt": "b"})
    for options in (("--rpm", "0"), ("--api-key-env", "NO_KEY"), ("--name", "{")):
        code, out, _ = command.run("--json", *options)
        told = json.loads(out)
        assert (2, 2, "usage") == (code, told["exit_code"], told["error"]["kind"])
    told = json.loads(command.run("--json")[1])
    assert (2, "input") == (told["exit_code"], told["error"]["kind"])
    mistakes = told["error"]["mistakes"]
    assert {(2, "promt"), (2, "prompt")} == {(mistake["line"], mistake["field"]) for mistake in mistakes}
    with Journal.open(command.out):
        command.rows({"prompt": "a"})
        told = json.loads(command.run("--json")[1])
    assert ("folder", True) == (told["error"]["kind"], "in use by process" in told["error"]["message"])


def test_the_model_that_nobody_named_is_shown(command: Command) -> None:
    """Without `--model` the newest one with a known price is taken, and said; rows that name theirs are not told."""
    arguments = ["batch", str(command.input), "--out", str(command.out), "--dry-run"]
    assert 0 == main(arguments)
    assert command.capsys.readouterr().out.startswith("model: gpt-image-")
    command.rows({"prompt": "a", "model": "gpt-image-1-mini"})
    assert 0 == main(arguments)
    assert "model: " not in "".join(command.capsys.readouterr())


def test_what_a_provider_announced_is_said_before(command: Command) -> None:
    """Once for each model, that it is gone and what takes its place."""
    command.rows(*({"prompt": f"kettle {n}", "model": "dall-e-3"} for n in range(3)))
    err = command.run("--dry-run", "--quality", "standard")[2]
    assert 1 == err.count("warning: dall-e-3 was shut down on ")


def test_options_may_come_from_a_file_and_the_environment(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a batch needs may stand elsewhere: a provider of the file, a folder of the environment."""
    config = command.folder / "penstock.toml"
    provider = f"[providers.mine]\nbase_url = '{command.sim.base_url}'\napi_key_env = 'TEST_KEY'"
    config.write_text(f"provider = 'mine'\nmodel = 'gpt-image-2'\nquality = 'high'\nlimit = 1\n{provider}")
    monkeypatch.setenv("PENSTOCK_CONFIG", str(config))
    monkeypatch.setenv("PENSTOCK_OUT", str(command.out))
    monkeypatch.setenv("PENSTOCK_QUALITY", "low")
    assert 0 == main(["batch", str(command.input), "--limit", "2"])
    lines = [json.loads(line) for line in (command.out / "results.jsonl").read_text().splitlines()]
    assert [("completed", "low")] * 2 == [(line["status"], line["quality"]) for line in lines[:2]]
    assert (2, 0, 10) == command.counts()


def test_many_rows_are_said_to_be_checked_before_they_are(command: Command) -> None:
    """Of ten thousand it is told at once how fast they were read, and afterwards what all the checking took."""
    command.input.write_text('{"prompt": "a fox"}\n' * 10_000)
    code, _, err = command.run("--dry-run")
    lines = [re.sub(r"[0-9.]+ s|less than 0.1 s", "n s", line) for line in err.splitlines()]
    assert (0, ["10,000 rows read in n s; checking them ...", "10,000 rows checked in n s"]) == (code, lines)


# Consent


def test_a_dry_run_changes_nothing(command: Command) -> None:
    """Without a folder none is made; with one it is told how it stands, byte for byte as before. It needs no key."""
    before = command.sim.stats()["received"]
    code, out, err = command.run("--dry-run", "--api-key-env", "NO_SUCH_KEY")
    assert (0, "12 rows checked in", 1, False) == (code, err[:18], err.count("\n"), command.out.exists())
    assert out.startswith("12 rows: 12 to send\nprice: at most $0.0")
    assert out.endswith("nothing was sent, and nothing was changed (--dry-run)\n")
    assert (0, out, "") == command.run("--dry-run", "--quiet", "--api-key-env", "NO_SUCH_KEY")
    assert 0 == command.run("--limit", "5")[0]
    files = {path: path.read_bytes() for path in command.out.rglob("*") if path.is_file()}
    told = json.loads(command.run("--dry-run", "--json")[1])
    assert (5, 7, 0) == (told["done"], told["send"], told["exit_code"])
    assert 0 < float(told["expected_usd"]) < float(told["bound_usd"])
    assert files == {path: path.read_bytes() for path in command.out.rglob("*") if path.is_file()}
    assert before + 5 == command.sim.stats()["received"]
    with Journal.open(command.out):
        assert "is at work in" in command.run("--dry-run")[1]


def test_a_dry_run_ends_as_the_run_would_with_bad_rows(command: Command) -> None:
    """With 1 where they are passed over, and the JSON says the same; with 2 where they are not."""
    command.rows({"prompt": "a"}, {"prompt": ""})
    code, out, _ = command.run("--dry-run", "--json", "--skip-invalid")
    told = json.loads(out)
    assert (1, 1, 1, "1 row is invalid") == (code, told["exit_code"], told["invalid"], told["message"])
    assert 2 == command.run("--dry-run")[0]


def test_how_far_a_budget_goes_is_said_before(command: Command) -> None:
    """Two cents are enough for three rows of twelve, and what is spent is taken off for a program, too."""
    told = command.run("--dry-run", "--budget", "0.02")[1]
    assert "budget: $0.0200 are left, enough for about 3 of 12 rows\n" in told
    code, _, err = command.run("--budget", "0.02")
    assert (3, True) == (code, "the budget has no room for 9 rows" in err)
    found = json.loads(command.run("--dry-run", "--json", "--budget", "0.03")[1])
    assert (2, 2, 9) == (found["budget_rows"], found["budget_rows_least"], found["send"])
    assert 0 < float(found["budget_left_usd"]) < 0.02


def test_what_options_leave_as_it_is_is_said(command: Command) -> None:
    """A name for pictures that have one changes nothing, and that is not left to be found out."""
    assert 0 == command.run()[0]
    _, _, err = command.run("--name", "kettle-{id}")
    assert "names: the pictures of 12 rows keep those that they have; kettle-{id} (--name) is for new ones" in err


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with 2 and names folder and remedy; a dry run goes on with a warning."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # noqa: ARG005 - as the system calls it
    code, out, err = command.run(given="no.jsonl")
    assert (2, "", True) == (code, out, f"--out: {command.folder} is read-only for this user" in err)
    code, _, err = command.run("--dry-run")
    assert (0, True) == (code, f"warning: {command.folder} is read-only" in err)


def test_pictures_are_made_again_only_with_a_yes(command: Command) -> None:
    """Other options for what the folder has: how many, why, the bound and the advice, exit 2; `--yes` does it."""
    assert 0 == command.run()[0]
    received = command.sim.stats()["received"]
    code, _, err = command.run("--quality", "medium")
    assert (2, received) == (code, command.sim.stats()["received"])
    last = err.splitlines()[-1]
    assert last.startswith("penstock: error: 12 rows would be made again (quality low -> medium) for at most $0.6")
    assert last.endswith("nothing was sent: go on with --yes or another --out")
    assert 0 == command.run("--quality", "medium", "--yes")[0]
    assert 12 == len(list((command.out / "superseded").iterdir()))


def test_too_small_a_disk_needs_a_yes(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the pictures may not fit it ends with 2, before anything is made."""
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(path=path, free=6 << 20))
    code, _, err = command.run()
    assert (2, False) == (code, command.out.exists())
    assert "the disk may not have enough room; nothing was sent: go on with --yes or another --out" in err
    assert 0 == command.run("--yes", "--limit", "1")[0]


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 2)])
def test_somebody_at_a_terminal_is_asked_above_a_dollar(command: Command, answer: bytes, code: int) -> None:
    """The question has the bound; yes goes on, no ends it with 2 and leaves no folder."""
    ended, said = asked(command, answer)
    assert (code, code == 0) == (ended, command.out.exists())
    assert "6 pictures cost at most $" in " ".join(said.split())


def test_a_folder_that_was_used_meanwhile_is_left_alone(command: Command) -> None:
    """What was agreed to was said of an empty folder: where another run came first, it ends with 2."""
    ended, said = asked(command, b"y\n", lambda: command.run("--limit", "1"))
    assert (2, True) == (ended, f"another run has begun in {command.out} meanwhile" in " ".join(said.split()))
    assert 1 == len(list((command.out / "images").iterdir()))


def asked(command: Command, answer: bytes, meanwhile: Callable[[], object] = tuple) -> tuple[int, str]:
    """A batch of six expensive pictures, at a terminal: its exit code, and what it said there."""
    command.rows(*({"prompt": f"kettle {n}", "quality": "high"} for n in range(6)))
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*PENSTOCK, *command.words()], stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    said = b""
    while b"[y/N]" not in said:
        said += os.read(ours, 4096)
    meanwhile()
    os.write(ours, answer)
    while True:
        try:
            said += os.read(ours, 4096)
        except OSError:  # whoever held the other end has left
            break
    os.close(ours)
    return process.wait(timeout=240), said.decode()


# Mistakes


def test_mistakes_end_with_2_before_anything_is_made(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad row, a missing key, a URL that is none: each is named, nothing is sent, no folder is made."""
    monkeypatch.setenv("BAD_KEY", "two words")
    received = command.sim.stats()["received"]
    for options, word in (
        (("--api-key-env", "OTHER_KEY"), "environment variable OTHER_KEY"),
        (("--api-key-env", "BAD_KEY"), "API key BAD_KEY holds what no header can carry"),
        (("--base-url", "ftp://x"), "--base-url: 'ftp://x' does not begin with http"),
        (("--base-url", "http://me:secret@127.0.0.1/v1"), "holds a user or a password"),
        (("--quality", "ultra"), "in.jsonl: quality: "),
        (("--size", "7x7"), "(all 12 rows)"),
        (("--model", "a model"), "the options: model: must be a name"),
        (("--budget", "much"), "not an amount of dollars"),
        (("--on-ambiguous", "perhaps"), "is none of auto, retry, skip"),
        (("--name", "{id"), "--name: a brace is not closed"),
        (("--name", "{sku}"), "in.jsonl: sku: is missing"),
        (("--resize", "small"), "--resize: 'small' is not"),
        (("--resize", "64", "--convert", "gif"), "--convert: 'gif' is not a format"),
        (("--out", str(command.input)), "in.jsonl is a file: name a folder"),
        (("--provider", "mine"), "--provider: there is no provider 'mine'"),
        (("--log-file", str(command.folder)), "--log-file"),
        (("--model", "zzz", "--budget", "1"), "price of zzz is not known"),
    ):
        code, out, err = command.run(*options)
        assert (2, "", True) == (code, out, word in err), err
    assert (2, True) == (main(["batch", str(command.input)]), "--out DIR is missing" in command.capsys.readouterr().err)
    assert not command.out.exists()
    assert received == command.sim.stats()["received"]


def test_all_mistakes_are_told_at_once(command: Command) -> None:
    """What is no row, what a model does not take and what a name needs, in the order of the lines."""
    command.rows(
        {"prompt": "a", "size": "7x7", "meta.sku": "A"}, {"promt": "b"}, {"prompt": "c"}, {"prompt": "", "n": "x"}
    )
    code, _, err = command.run("--name", "{sku}")
    places = [line.removeprefix("penstock: ").removeprefix("error: ") for line in err.splitlines()]
    told = [place.removeprefix(f"{command.input}:").split(":")[:2] for place in places]
    expected = [["1", " size"], ["2", " promt"], ["2", " prompt"], ["3", " sku"], ["4", " n"], ["4", " prompt"]]
    assert (2, expected) == (code, told)


def test_bad_rows_may_be_passed_over(command: Command) -> None:
    """With `--skip-invalid` they are recorded with their reason and the others are bought; the exit code is 1."""
    command.rows({"prompt": "a"}, {"prompt": ""}, {"prompt": "b", "size": "7x7"}, {"prompt": "c"})
    code, out, err = command.run("--skip-invalid")
    assert (1, True) == (code, out.startswith("4 rows: 2 completed, 2 invalid; 2 images"))
    assert "warning: " in err
    assert "in.jsonl:3: size: " in err
    lines = [json.loads(line) for line in (command.out / "results.jsonl").read_text().splitlines()]
    assert ["completed", "invalid", "invalid", "completed"] == [line["status"] for line in lines]


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_rows_may_come_from_standard_input(
    options: tuple[str, ...], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are sent as they come and a bad one fails alone; a dry run reads them whole and sends none."""
    source = command.folder / "pipe"
    source.write_bytes(b'{"prompt": "a"}\n{"promt": "b"}\n{"prompt": "c"}\n')
    with source.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        code, out, err = command.run(*options, given="-")
    assert "standard input:2: promt: " in err
    if options:
        assert (1, False) == (code, command.out.exists())
        assert out.startswith("3 rows: 1 invalid, 2 to send")
    else:
        assert (1, True) == (code, out.startswith("3 rows: 2 completed, 1 invalid"))
        assert "rows are read from standard input" in err


@pytest.mark.parametrize(("options", "code", "qualities"), [((), 1, {None}), (("--yes",), 0, {"medium"})])
def test_a_stream_makes_again_what_the_folder_has_only_with_a_yes(
    options: tuple[str, ...], code: int, qualities: set[str | None], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can be asked, so without `--yes` such rows fail alone."""
    assert 0 == command.run("--limit", "2")[0]
    command.rows({"prompt": "kettle 0"}, {"prompt": "kettle 1"})
    with command.input.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert code == command.run("--quality", "medium", *options, given="-")[0]
    lines = [json.loads(line) for line in (command.out / "results.jsonl").read_text().splitlines()]
    assert qualities == {line["quality"] for line in lines}


def test_another_provider_has_no_default_model(command: Command) -> None:
    """Rows that name no model are mistakes there."""
    config = command.folder / "penstock.toml"
    config.write_text(f"[providers.mine]\nbase_url = '{command.sim.base_url}'\napi_key_env = 'TEST_KEY'")
    arguments = ["batch", str(command.input), "--out", str(command.out), "--config", str(config), "--provider", "mine"]
    assert 2 == main(arguments)
    assert "model: missing" in command.capsys.readouterr().err


def test_nothing_to_read_is_said(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard input, an empty one in a dry run, an empty one, a file that is not there."""
    empty = TextIOWrapper(BytesIO())
    monkeypatch.setattr(sys, "stdin", empty)
    assert "there is no row in it" in command.run("--dry-run", given="-")[2]
    empty.close()
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        code, said, _ = command.run("--json", given="-")
    assert (2, "input") == (code, json.loads(said)["error"]["kind"])
    assert (2, True) == ((ran := command.run(given="-"))[0], "there is no standard input" in ran[2])
    assert (2, True) == ((ran := command.run(given="no.jsonl"))[0], "no.jsonl: there is no such file" in ran[2])
