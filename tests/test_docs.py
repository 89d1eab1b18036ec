"""The docs are true: every Python block runs and prints what it says, every public name has its example."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from attrs import fields

import penstock
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.batch.results import STATUSES, Line, Summary, result, summary_json
from penstock_io.batch.states import Runs
from penstock_io.batch.stopping import Exit
from penstock_io.batch.survey import Survey
from penstock_io.cli.config import TABLES, read_config
from penstock_io.cli.main import COMMANDS, main
from penstock_io.cli.options import BATCH
from penstock_io.cli.showing import plan_json
from penstock_io.simserver import SimServer, serving

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BATCH_PAGE = ROOT / "docs" / "batch.md"
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")

PROVIDER = "https://api.openai.com/v1"
"""What stands in the docs where a test puts a simulated provider."""

PRELUDES = {
    "docs/design.md": """
import time
from random import Random
from penstock import Config
from penstock.events import Ticked
config, seed, event, now = Config(), 1, Ticked(), time.monotonic()
""",
}
"""What a page's blocks take for granted."""

WHOLE = frozenset(
    "penstock penstock.commands penstock.config penstock.engine penstock.entries penstock.errors penstock.events "
    "penstock.http penstock.outcomes penstock.work penstock_io.asyncio penstock_io.stores.memory penstock_io.sync "
    "penstock_io.trio".split()
)
"""Modules of which every public name is promised, not only some."""

OUTPUT = "# > "
"""Begins a line that says what its block prints."""


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The code blocks of a page in a language, each with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [(text[: match.start(1)].count("\n") + 1, match[1]) for match in found]


def name(page: Path) -> str:
    """A page as it is called in the repository."""
    return page.relative_to(ROOT).as_posix()


def said(source: str) -> set[str]:
    """Every name that a program says: variables, attributes, imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names}
    return found


def printed(block: str) -> list[str]:
    """What a block says that it prints, line by line."""
    return [line.removeprefix(OUTPUT) for line in block.splitlines() if line.startswith(OUTPUT)]


def commands(block: str) -> Iterator[list[str]]:
    """The `penstock` commands of a shell block, as words, without what a here-document holds."""
    text = re.sub(r"<<'(\w+)'\n.*?^\1$", "", block.replace("\\\n", " "), flags=re.MULTILINE | re.DOTALL)
    for line in re.split(r"\n|&&", text):
        words = shlex.split(line, comments=True)
        if words and words[0].rpartition("/")[2] == "penstock":
            yield words[1:]


def rows(page: Path, heading: str) -> list[str]:
    """The code words in the first column of the first table after a heading, in order."""
    text = page.read_text(encoding="utf-8").partition(f"{heading}\n")[2]
    table = text[text.index("|") :].partition("\n\n")[0]
    return [word for line in table.splitlines()[2:] for word in re.findall(r"`([^`]+)`", line.split("|")[1])]


def listed() -> dict[str, list[str]]:
    """The names of the reference by module; a method stands behind its class and a dot."""
    found: dict[str, list[str]] = {}
    for line in REFERENCE.splitlines():
        if heading := re.fullmatch(r"## `([\w.]+)`", line):
            found[heading[1]] = []
        elif entry := re.fullmatch(r"\| `([\w.]+)` \| \S.* \|", line):
            found[list(found)[-1]].append(entry[1])
    return found


def public(module: str) -> set[str]:
    """The public names of a module: its `__all__`, or the classes and functions that are its own."""
    loaded = import_module(module)
    stated: list[str] | None = getattr(loaded, "__all__", None)
    if stated is not None:
        return {word for word in stated if not word.startswith("__")}
    return {
        word
        for word, value in vars(loaded).items()
        if not word.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module
    }


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_python_in_the_docs_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a page run one after the other, and print what they say."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-docs")
    scope: dict[str, object] = {"__name__": "docs"}
    exec(PRELUDES.get(name(page), ""), scope)  # noqa: S102 - our own docs
    with serving(ServerSettings(latency=Latency(0.05, 0.0))) as sim:
        for line, block in blocks(page, "python"):
            source = "\n" * (line - 1) + block.replace(PROVIDER, sim.base_url)
            with redirect_stdout(StringIO()) as output:
                exec(compile(source, str(page), "exec"), scope)  # noqa: S102 - as above
            if printed(block):
                assert printed(block) == output.getvalue().splitlines(), f"line {line}"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "bash")], ids=name)
def test_commands_in_the_docs_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every `penstock` command of a shell block has a subcommand that exists, with options that it knows."""
    for _, block in blocks(page, "bash"):
        for command, *words in commands(block):
            assert command in COMMANDS
            assert 0 == main([command, "--help"])
            known = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
            assert set() == {word.partition("=")[0] for word in words if word.startswith("--")} - known


def test_every_public_name_has_an_example() -> None:
    """Every name of the reference occurs in some Python block, which a test runs."""
    shown = set[str]().union(*(said(block) for page in PAGES for _, block in blocks(page, "python")))
    names = {entry.rpartition(".")[2] for entries in listed().values() for entry in entries}
    assert [] == sorted(names - shown)


@pytest.mark.parametrize("module", listed())
def test_the_reference_names_what_exists(module: str) -> None:
    """Names and methods of the reference are public and exist; of a module that is promised whole, none is left out."""
    entries = listed()[module]
    there = public(module)
    named = {entry for entry in entries if "." not in entry}
    assert set() == named - there
    assert set() == (there - named if module in WHOLE else set())
    for entry in entries:
        owner, _, member = entry.partition(".")
        assert not member or hasattr(getattr(import_module(module), owner), member)


def test_the_reference_has_a_heading_for_each_promised_module() -> None:
    """The modules that are promised whole are there."""
    assert set() == WHOLE - set(listed())


def test_the_version_is_the_projects() -> None:
    """`penstock.__version__` is what pyproject.toml says."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert [penstock.__version__] == re.findall(r'^version = "(.+)"$', project, flags=re.MULTILINE)


def test_the_face_of_the_core_shows_what_it_names() -> None:
    """Each public name of the core is there when asked for, the same as in its own module; others are none."""
    for word in penstock.__all__:
        value = getattr(penstock, word)
        assert word == "__version__" or value is getattr(import_module(value.__module__), word)
    assert set(penstock.__all__) <= set(dir(penstock))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = penstock.Nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_no_page_has_a_place_left_to_fill(path: Path) -> None:
    """A line of capitals alone is where a figure should have come."""
    prose = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert [] == re.findall(r"^[A-Z]{4,}$", prose, re.MULTILINE)


def test_the_batch_page_tells_every_field() -> None:
    """The tables of docs/batch.md have the fields of a line of results and of the sums, in their order."""
    assert list(result(Line("a", 0, "pending"))) == rows(BATCH_PAGE, "### A line of results.jsonl")
    sums = Summary(dict.fromkeys(STATUSES, 0), 0, 0, 0, 0, 0, 0, Runs())
    assert list(summary_json(sums)) == rows(BATCH_PAGE, "### summary.json")


def test_the_batch_page_tells_every_figure_of_a_dry_run() -> None:
    """The table of docs/batch.md has the fields of `--dry-run --json`, in their order."""
    known = {field.name: 0 for field in fields(Survey)} | {"why": ()}
    assert list(plan_json(Survey(**known), None, 0)) == rows(BATCH_PAGE, "### --dry-run --json")  # type: ignore[arg-type] # made of names


@pytest.mark.parametrize(("fault", "code"), [("", 0), ("moderation", 1)])
def test_the_batch_page_tells_every_field_of_one_picture(
    fault: str, code: int, sim: SimServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of docs/batch.md has the fields of `penstock generate --json`, in their order, however it ends."""
    sim.call(lambda server: server.inject(fault))
    assert code == main(["generate", "a fox", "--quality", "low", "--size", "1024x1024", "--json", "-o", "fox.png"])
    told = json.loads(capsys.readouterr().out)
    assert (list(told), code) == (rows(BATCH_PAGE, "### generate --json"), told["exit_code"])
    assert (fault == "", ["name", "kind", "message", "status", "code", "request_id"]) == (
        told["error"] is None,
        list(told["error"] or ["name", "kind", "message", "status", "code", "request_id"]),
    )


def test_the_batch_page_tells_every_option() -> None:
    """Each option of `penstock batch` is on the page."""
    page = BATCH_PAGE.read_text(encoding="utf-8")
    assert [] == [option.flag for option in BATCH if not re.search(rf"{option.flag}\b(?!-)", page)]


def test_the_file_of_options_on_the_batch_page_is_one(tmp_path: Path) -> None:
    """The TOML blocks are read without a complaint: options and providers, and single keys."""
    path = tmp_path / "penstock.toml"
    found: list[str] = []
    for _, block in blocks(BATCH_PAGE, "toml"):
        path.write_text(block, encoding="utf-8")
        given, providers = read_config(path)
        found += [*providers, *(name for name in given if name in TABLES)]
    assert ["studio", "prices", "keys", "pools"] == found


@pytest.mark.parametrize("page", [ROOT / "README.md", BATCH_PAGE], ids=name)
def test_exit_codes_are_told(page: Path) -> None:
    """A page that lists exit codes lists all of them."""
    told = re.findall(r"^\| (\d+) \|", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [int(code) for code in Exit] == [int(code) for code in told]
