"""Any JSON as a row: a clear error that names line and field, the exit code that says so, and no key in any output.

Keys are planted in the environment and in the rows, where somebody has put one by mistake: one that looks like a key,
and one that does not.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.simulation.server import Latency, ServerSettings
from penstock_io.batch.inputs import parse_rows
from penstock_io.batch.rows import FIELDS, Defaults, InputError, Json, Mistake
from penstock_io.cli.main import main
from penstock_io.simserver import SimServer, serving

LOOKS = "sk-proj-planted0815ZebraOfMine"
"""A key by its looks, of anybody."""

PLAIN = "zebra.of.mine/0815"
"""The key in the environment: nothing about it says so."""

FOUND = re.compile("|".join(re.escape(one) for one in (LOOKS, PLAIN)))
OPTIONS = ("--model", "gpt-image-2", "--quality", "low", "--size", "1024x1024", "--api-key-env", "PLANTED")
FAST = ServerSettings(latency=Latency(0.0, 0.0), refusal_delay=0.0)
SAID = "standard input"

texts = st.sampled_from(
    [
        LOOKS,
        PLAIN,
        f"a {LOOKS}!",
        f"{PLAIN}.png",
        "",
        " ",
        "low",
        "1024x1024",
        "png",
        "gpt-image-2",
        "9" * 400,
        "\x1b[2J",
        "\u202e",
        "a\nb",
    ]
) | st.text(max_size=12)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -(2**63) - 1, 1e308, -0.0])
scalars = st.none() | st.booleans() | numbers | texts
names = st.sampled_from([*FIELDS, "id", "meta", "file_id", "url", "Prompt", LOOKS, PLAIN]) | texts
jsons = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5), max_leaves=10
)
records = st.dictionaries(names, jsons, max_size=6) | st.fixed_dictionaries(
    {"prompt": st.just("a lynx") | scalars}, optional=dict.fromkeys((*FIELDS[1:], "id", "meta"), jsons)
)
lines = st.one_of(
    records.map(json.dumps).map(str.encode),
    jsons.map(json.dumps).map(str.encode),
    records.map(lambda value: json.dumps(value)[:-3].encode()),
    st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"")),
    st.sampled_from(
        [
            b'{"prompt": "a", "prompt": "b"}',
            b'{"prompt": "\\ud800"}',
            b"[" * 3_000,
            b'{"a":' * 3_000,
            b'{"prompt": NaN}',
            b"\xff\xfe",
            b"{}",
            b"9" * 5_000,
        ]
    ),
)
inputs = st.lists(lines, min_size=1, max_size=4)


@contextmanager
def planted(stdin: io.BytesIO | io.BufferedReader | None = None) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """The key in the environment, and what is said to both sides; nobody is asked."""
    before, given_in = os.environ.get("PLANTED"), sys.stdin
    os.environ["PLANTED"] = PLAIN
    wrapped = None if stdin is None else io.TextIOWrapper(stdin)
    if wrapped is not None:
        sys.stdin = wrapped
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            yield out, err
    finally:
        sys.stdin = given_in
        if wrapped is not None:
            wrapped.detach()
        if before is None:
            del os.environ["PLANTED"]
        else:
            os.environ["PLANTED"] = before


def unplanted(out: str, err: str) -> None:
    """Claim that no key is said, nor how the code was called."""
    assert FOUND.search(out) is None, out
    assert FOUND.search(err) is None, err
    assert "Traceback" not in err


def read(given_lines: list[bytes]) -> tuple[int, dict[int, tuple[Mistake, ...]]]:
    """How many lines are rows, and what is wrong with each that is none; a file that cannot be read has line 0."""
    try:
        found = parse_rows(b"\n".join(given_lines), SAID, Defaults("gpt-image-2"), skip_invalid=True)
    except InputError as error:
        return 0, {error.mistakes[0].line: error.mistakes}
    return len(found.rows), {one.line: one.mistakes for one in found.invalid}


@settings(max_examples=200)
@given(inputs)
@example([b'{"prompt": "x", "quality": "' + LOOKS.encode() + b'"}'])
def test_any_line_is_a_row_or_a_mistake(given_lines: list[bytes]) -> None:
    """Each line that is not blank is the one or the other, and what is wrong is told with its line."""
    rows, bad = read(given_lines)
    for line, mistakes in bad.items():
        assert mistakes
        for mistake in mistakes:
            assert (SAID, line) == (mistake.file, mistake.line)
            assert mistake.message
            assert mistake.message.isprintable()
            assert LOOKS not in str(mistake)
    if all(line > 0 for line in bad):
        assert rows + len(bad) == len([line for line in given_lines if line.strip()])


@settings(max_examples=120)
@given(inputs, st.booleans())
@example([b'{"prompt": "x", "output_format": "' + PLAIN.encode() + b'"}'], False)
@example([b'{"prompt": "x", "' + LOOKS.encode() + b'": 1}'], True)
def test_a_plan_of_any_lines_from_a_pipe(given_lines: list[bytes], json_wanted: bool) -> None:
    """`penstock batch - --dry-run`: 1 where a line is no row, which is named; else 0, or a refusal with its reason."""
    with TemporaryDirectory() as folder, planted(io.BytesIO(b"\n".join(given_lines))) as (out, err):
        words = ["batch", "-", "--out", f"{folder}/out", "--dry-run", *OPTIONS, *["--json"] * json_wanted]
        code = main(words)
        assert not Path(folder, "out").exists()
    said = err.getvalue()
    unplanted(out.getvalue(), said)
    assert code in (0, 1, 2)
    if json_wanted:
        told: dict[str, Json] = json.loads(out.getvalue())
        assert isinstance(told, dict)
    if code == 2:
        assert "penstock: error: " in said
    else:
        bad = read(given_lines)[1]  # what its model does not take is told besides
        assert code or not bad
        assert not code or f"{SAID}:" in said
        for line in bad:
            assert f"{SAID}:{line}: " in said or "(all " in said or re.search("[0-9] more", said)


@settings(max_examples=120)
@given(inputs)
def test_a_plan_of_any_file(given_lines: list[bytes]) -> None:
    """`penstock batch FILE --dry-run`: 2 where a line is no row, and each mistake with file and line."""
    with TemporaryDirectory() as folder, planted() as (out, err):
        path = Path(folder, "rows.jsonl")
        path.write_bytes(b"\n".join(given_lines))
        code = main(["batch", str(path), "--out", f"{folder}/out", "--dry-run", *OPTIONS])
    said = err.getvalue()
    unplanted(out.getvalue(), said)
    assert code in (0, 2)
    if read(given_lines)[1]:
        assert 2 == code
        assert "rows.jsonl" in said


@pytest.fixture(scope="module")
def sim() -> Iterator[SimServer]:
    """A provider that answers at once."""
    with serving(FAST) as server:
        yield server


@settings(max_examples=20, deadline=None)
@given(given_lines=inputs)
def test_any_lines_are_done_as_far_as_they_are_rows(sim: SimServer, given_lines: list[bytes]) -> None:
    """`penstock batch -`: what is a row is bought, the rest is told, and no key is said."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "in")
        path.write_bytes(b"\n".join(given_lines) + b"\n")
        with path.open("rb") as stdin, planted(stdin) as (out, err):
            code = main(["batch", "-", "--out", f"{folder}/out", "--base-url", sim.base_url, *OPTIONS, "--yes"])
        unplanted(out.getvalue(), err.getvalue())
        assert code in (0, 1, 2)
        assert code or not read(given_lines)[1]
