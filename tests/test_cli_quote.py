"""`penstock quote`: what it says to people and programs, and that it needs no key and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from penstock_io.cli.main import main
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, folder_for, table

FIXED = ("--model", "gpt-image-2", "--size", "1024x1024", "--quality", "high")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quote needs none."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def given(tmp_path: Path) -> str:
    """An input of three rows, of which one repeats another."""
    path = tmp_path / "in.txt"
    path.write_text("a red fox\na blue jay\na red fox\n", encoding="utf-8")
    return str(path)


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    """What `--json` prints."""
    assert 0 == main(["quote", *words, "--json"])
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_people_see_the_price_and_what_is_cheaper(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The bound, the expected value, by what, and other settings each with theirs."""
    assert 0 == main(["quote", given, *FIXED])
    lines = capsys.readouterr().out.splitlines()
    assert "rows:      3, 2 pictures to buy; 1 repeat another and share its picture" == lines[0]
    assert lines[1].startswith("price:     at most $0.42")
    assert any(line.startswith("gpt-image-2, 1024x1024, high ") and line.split()[3] == "2" for line in lines)
    assert any(line.startswith("quality low ") for line in lines)
    assert any(line.startswith("model gpt-image-1-mini ") for line in lines)
    assert any(line.startswith("the provider's batch API ") for line in lines)


def test_a_bound_is_one_figure_wherever_it_is_said(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rounded up in the sentence, and in the table below it, beside what is probable."""
    config = tmp_path / "penstock.toml"
    config.write_text('[prices."mine"]\npicture = 0.01667\n', encoding="utf-8")
    assert 0 == main(["quote", given, "--model", "mine", "--config", str(config)])
    lines = capsys.readouterr().out.splitlines()
    assert "price:     at most $0.0334, probably $0.0333" == lines[1]
    assert ["2", "$0.0334", "$0.0333"] in [line.split()[-3:] for line in lines]


def test_programs_get_exact_figures(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Decimal texts; the parts add up, and a saving is the difference."""
    told = as_json(capsys, given, *FIXED)
    bound = Decimal(str(told["bound_usd"]))
    assert (3, 1, 2, 0) == (told["rows"], told["repeats"], told["pictures"], told["paid"])
    assert [str(bound)] == [one["bound_usd"] for one in told["by"]]  # type: ignore[attr-defined] # a list of objects
    for one in [*told["cheaper"], told["batch"]]:  # type: ignore[misc] # a list of objects
        if one["bound_usd"] is not None:
            assert bound - Decimal(one["bound_usd"]) == Decimal(one["saves_bound_usd"])


def test_repeats_may_have_a_picture_each(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As the batch would do it."""
    assert 3 == as_json(capsys, given, *FIXED, "--repeats", "new")["pictures"]


def test_an_unknown_price_says_how_to_set_it(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is never nothing; with the lines that it shows in a file the price is known."""
    assert 0 == main(["quote", given, "--model", "unheard-of"])
    said = capsys.readouterr().out
    assert "price:     not known; no bound is known for 2 of 2 pictures" in said
    assert '  [prices."unheard-of"]\n  picture = 0.04' in said
    config = tmp_path / "penstock.toml"
    config.write_text('[prices."unheard-of"]\npicture = 0.04\n', encoding="utf-8")
    assert "0.08" == as_json(capsys, given, "--model", "unheard-of", "--config", str(config))["bound_usd"]


def test_what_is_known_of_a_part_is_said_of_that_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bound of some is no "at least" of all; what of the rest is not known is counted, and no figure is made up."""
    told = [{"prompt": "a", "model": "gpt-image-2"}, {"prompt": "b", "model": "unheard-of"}]
    given = tmp_path / "mixed.jsonl"
    given.write_text("".join(json.dumps(one) + "\n" for one in told), encoding="utf-8")
    assert 0 == main(["quote", str(given), "--quality", "low", "--size", "1024x1024"])
    said = capsys.readouterr().out
    known = "at most $0.0060 for 1 picture, probably $0.0060 for 1 picture"
    assert f"price:     {known}; no bound is known for 1 of 2 pictures" in said
    assert "at least" not in said


def test_a_multiplier_is_applied(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That of the provider that is chosen."""
    config = tmp_path / "penstock.toml"
    table_of = 'base_url = "http://127.0.0.1:1/v1"\napi_key_env = "X"\nmultiplier = 2\n'
    config.write_text(f"[providers.dear]\n{table_of}", encoding="utf-8")
    plain = as_json(capsys, given, *FIXED)["bound_usd"]
    twice = as_json(capsys, given, *FIXED, "--config", str(config), "--provider", "dear")["bound_usd"]
    assert 2 * Decimal(str(plain)) == Decimal(str(twice))


def test_rows_come_from_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """JSONL; bad rows are told and are no part of it."""
    rows = b'{"prompt": "a"}\n{"prompt": "b", "n": 2}\n{"prompt": ""}\n'
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(rows)))
    told = as_json(capsys, "-", *FIXED)
    assert (2, 1, 3) == (told["rows"], told["invalid"], told["pictures"])


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


def test_what_is_paid_is_taken_off(tmp_path: Path, sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """With the folder of the batch; not a byte of it changes. A folder that is not there yet has nothing."""
    folder = folder_for(tmp_path / "out", sim)
    folder.run(table(["a", "b"]))
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    rows = tmp_path / "in.txt"
    rows.write_text("a\nc\n", encoding="utf-8")
    fixed = ("--model", "gpt-image-2", "--size", "1024x1024", "--quality", "low")
    told = as_json(capsys, str(rows), *fixed, "--out", str(folder.path))
    assert (1, 1) == (told["paid"], told["pictures"])
    assert before == {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    told = as_json(capsys, str(rows), *fixed, "--out", str(tmp_path / "new"))
    assert (0, 2, False) == (told["paid"], told["pictures"], (tmp_path / "new").exists())


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        (["nowhere.txt"], "input", "nowhere.txt"),
        (["{given}", "--size", "3x3"], "input", "does not fit"),
        (["{given}", "--provider", "nobody"], "usage", "there is no provider 'nobody'"),
        (["{given}", "--config", "nowhere.toml"], "usage", "nowhere.toml"),
        ([], "usage", "INPUT is missing"),
        (["{given}", "--budget", "3"], "usage", "there is no option --budget"),
    ],
)
def test_what_is_wrong_ends_with_2(
    given: str, words: list[str], kind: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, to programs as an object."""
    said = [word.replace("{given}", given) for word in words]
    assert 2 == main(["quote", *said, "--json"])
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert (kind, True, True) == (error["kind"], told in error["message"], told in err)


def test_a_quote_is_a_table_too(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--csv` writes a line for each setting, with no cell that a spreadsheet would run; `-` prints nothing else."""
    rows, config, file = tmp_path / "in.jsonl", tmp_path / "penstock.toml", tmp_path / "quote.csv"
    known = {"model": "gpt-image-2", "size": "1024x1024", "quality": "low"}
    both = ({"prompt": "a", "model": "mine", "quality": "=cmd()"}, {"prompt": "b", **known})
    rows.write_text("".join(f"{json.dumps(row)}\n" for row in both), encoding="utf-8")
    config.write_text('[providers.mine]\nbase_url = "http://127.0.0.1:9/v1"\napi_key_env = "NONE"\n', encoding="utf-8")
    words = ["quote", str(rows), "--provider", "mine", "--config", str(config)]
    assert 0 == main([*words, "--csv", str(file)])
    assert "price:" in capsys.readouterr().out
    assert 0 == main([*words, "--csv", "-"])
    printed = capsys.readouterr().out
    assert printed.split() == file.read_text("utf-8-sig").split()
    lines = printed.split()
    assert "model,size,quality,pictures,bound_usd,expected_usd,without_bound,without_expected" == lines[0]
    assert {"mine,,'=cmd(),1,0,0,1,1"} == {line for line in lines if "cmd" in line}
    assert any(line.startswith("gpt-image-2,1024x1024,low,1,0.00") for line in lines)
    assert 2 == main([*words, "--csv", str(file)])
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert 0 == main([*words, "--csv", str(file), "--overwrite"])
    assert 2 == main(["quote", given, "--csv", "-", "--json"])
    assert "give --csv a file" in capsys.readouterr().err
    assert 2 == main(["quote", given, "--csv", str(tmp_path / "none" / "q.csv")])
    assert "q.csv: No such file" in capsys.readouterr().err
