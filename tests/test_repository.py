"""The repository keeps its own promises: the README's commands, the pins, the size of things, the links."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.__main__ import main, names, summary

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHIPPED = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "adapters").rglob("*.py")])
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FILE = 400
"""Lines that a shipped module may have at most."""

FUNCTION = 50
"""Lines that a shipped function may have at most, docstring included."""

WAIVER = re.compile(
    r"# (?:noqa|type: ignore|pyright: ignore)(?:: ?[A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*|\[[\w, -]*\])?(?P<reason>\s*\S.*)?"
)
"""A rule that is switched off on a line, and what is said to it."""


def name(path: Path) -> str:
    """A path as it is called in the repository."""
    return path.relative_to(ROOT).as_posix()


def fences(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def package(requirement: str) -> str:
    """A requirement's project in its normal form: `pytest>=9` is `pytest`."""
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-").replace(".", "-")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def sins(source: str) -> list[str]:
    """What no shipped module may contain, each as `line: what`."""
    found = [
        f"{number}: {match[0].strip()} without a reason"
        for number, line in enumerate(source.splitlines(), 1)
        for match in WAIVER.finditer(line)
        if not match["reason"]
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION:
                found.append(f"{node.lineno}: {node.name} has {lines} lines")
            if node.args.kwarg:
                found.append(f"{node.lineno}: {node.name} passes **{node.args.kwarg.arg}")
    return found


def test_the_readme_has_one_command_for_the_demo_and_one_for_the_tests() -> None:
    """Each stands alone on one line, makes its own environment from a clean clone and ends in what it is for."""
    lines = [line for fence in fences("bash") for line in fence.splitlines()]
    demo = [line for line in lines if "-m venv" in line and "penstock demo" in line]
    tests = [line for line in lines if "-m venv" in line and "-m pytest" in line]
    assert (1, 1) == (len(demo), len(tests))
    for line in (*demo, *tests):
        assert ["python3", "-m", "venv", ".venv", "&&"] == shlex.split(line)[:5]


def test_the_readme_names_only_extras_that_exist() -> None:
    """Every `penstock[extra]` and `.[extra]` in the README is an extra of the project."""
    named = {extra for group in re.findall(r"(?:penstock|\.)\[([a-z0-9,]+)\]", README) for extra in group.split(",")}
    assert set() == named - set(PROJECT["optional-dependencies"])
    assert {"cli", "test"} <= named


def test_python_in_the_readme_compiles() -> None:
    """Every Python block of the README is Python."""
    blocks = fences("python")
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_whatever_is_installed_for_tests_is_pinned() -> None:
    """Every direct requirement of the core and of each extra has one exact pin in constraints.txt."""
    pins = [line.split("==")[0] for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()]
    pinned = [package(pin) for pin in pins]
    wanted = [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]
    assert sorted(set(pinned)) == sorted(pinned)
    assert set() == {package(requirement) for requirement in wanted} - set(pinned)


def test_the_command_line_needs_one_extra() -> None:
    """`penstock[cli]` brings an HTTP library, and the core alone brings only attrs."""
    assert ["attrs"] == [package(requirement) for requirement in PROJECT["dependencies"]]
    assert "httpx2" in [package(requirement) for requirement in PROJECT["optional-dependencies"]["cli"]]


def test_the_changelog_opens_with_this_version_or_the_unreleased() -> None:
    """The newest heading of CHANGELOG.md is the version in pyproject.toml, or `Unreleased`."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[?([^\]\s]+)", changelog, flags=re.MULTILINE)[0] in {"Unreleased", PROJECT["version"]}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    """A link between pages of the repository names a file that exists."""
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [] == [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("path", SHIPPED, ids=name)
def test_a_shipped_module_stays_small_and_honest(path: Path) -> None:
    """At most 400 lines a file and 50 a function; each waived rule with its reason; no `**kwargs` handed on."""
    source = path.read_text(encoding="utf-8")
    assert [] == sins(source)
    assert FILE >= len(source.splitlines())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1  # " + "noqa: E731", ["1: # noqa: E731 without a reason"]),
        ("x = 1  # " + "type: ignore[misc]", ["1: # type: ignore[misc] without a reason"]),
        ("x = 1  # " + "noqa: E731, S101 - a table reads best so", []),
        ("x = 1  # " + "pyright: ignore[reportAny]  # the other library's type", []),
        ("def f(a, **options): ...", ["1: f passes **options"]),
        ("def f():\n" + "    x = 1\n" * 49, []),
        ("def f():\n" + "    x = 1\n" * 50, ["1: f has 51 lines"]),
    ],
)
def test_sins_are_seen(source: str, expected: list[str]) -> None:
    """The check above sees what it is for, and nothing else."""
    assert expected == sins(source)


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=name)
def test_every_test_says_what_it_claims(path: Path) -> None:
    """Every test function has a docstring."""
    tests = [f for f in functions(ast.parse(path.read_text(encoding="utf-8"))) if f.name.startswith("test_")]
    assert [] == [test.name for test in tests if not ast.get_docstring(test)]


@pytest.mark.parametrize("folder", ["src/penstock", "adapters/penstock_io"])
def test_both_packages_are_typed(folder: str) -> None:
    """Both import packages carry `py.typed`, so that type checkers of users read them."""
    assert (ROOT / folder / "py.typed").is_file()


def test_benchmarks_say_what_they_measure(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m benchmarks` lists every benchmark with the first line of its docstring."""
    assert 0 == main([])
    listed = capsys.readouterr().out.splitlines()
    assert names() == [line.split()[0] for line in listed]
    assert [] == [name for name in names() if not summary(name)]


def test_an_unknown_benchmark_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is none ends with exit code 2 and says what there is."""
    assert 2 == main(["no-such"])
    assert "no benchmark 'no-such'" in capsys.readouterr().err
