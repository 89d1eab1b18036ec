"""`penstock limits`: figure, source and age of what was learned; nothing where nothing was; and forgetting."""

from __future__ import annotations

import json
import time
from os import utime
from pathlib import Path

import pytest
from attrs import evolve

from penstock.config import Limits
from penstock.lessons import Lesson, Lessons, Use
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock_io.cli.choosing import settings_of
from penstock_io.cli.config import OptionError, resolve
from penstock_io.cli.main import main
from penstock_io.cli.options import BATCH
from penstock_io.cli.parsing import Parser, add_options
from penstock_io.lessons import Kept, load, write
from penstock_io.simserver import SimServer, serving

URL = "https://one.example/v1"
NOW = 1_790_000_000.0
KEPT = Kept(
    "0123456789ab:MY_KEY",
    URL,
    "gpt-image-2",
    Lessons(
        (
            Lesson("images", 5.0, 5.0, age=40.0, source="told"),
            Lesson("requests", 10_000 / 1440, None, 86400.0, age=7200.0),
        ),
        8,
        600.0,
        (Use("images", 86400.0, 300.0, 0.5, told=True, age=7200.0),),
    ),
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of lessons, and a clock that stands still."""
    path = tmp_path / "limits.json"
    monkeypatch.setenv("PENSTOCK_LESSONS", str(path))
    monkeypatch.setattr("time.time", lambda: NOW)
    write(path, [KEPT], NOW)
    return path


def test_for_people(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A paragraph a quota, with the key's label and fingerprint."""
    assert file.exists()
    assert 0 == main(["limits"])
    assert [
        "MY_KEY (0123456789ab) at https://one.example/v1, gpt-image-2",
        "  images             5 a minute  told     40 s ago",
        "  requests         10,000 a day  learned  2 h ago",
        "  images              240 a day  used     2 h ago",
        "  at a time                   8  learned  10 min ago",
    ] == capsys.readouterr().out.splitlines()


def test_for_programs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object with all of it."""
    assert 0 == main(["limits", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert str(file) == told["file"]
    assert [("images", 5.0, 60.0, "told", 40), ("requests", 10_000.0, 86400.0, "learned", 7200)] == [
        (one["quantity"], round(one["limit"], 6), one["window_seconds"], one["source"], one["age_seconds"])
        for one in told["limits"][:2]
    ]
    whose = {"key": KEPT.key, "keys": [KEPT.key], "account": "", "base_url": URL, "pool": "gpt-image-2"}
    gone = {"quantity": "images", "used": 240.0, "window_seconds": 86400.0, "told": True, "age_seconds": 7200}
    assert [whose | gone] == told["used"]
    assert ("concurrency", 8, None) == tuple(told["limits"][2][name] for name in ("quantity", "limit", "burst"))


def test_forgetting(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is gone, and that it was thrown away is said."""
    assert 0 == main(["limits", "--forget"])
    assert not file.exists()
    assert f"what was learned is thrown away ({file})\n" == capsys.readouterr().out
    assert 0 == main(["limits", "--forget", "--json"])
    assert [] == json.loads(capsys.readouterr().out)["limits"]


def test_without_a_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Switched off, it says so."""
    monkeypatch.setenv("PENSTOCK_LESSONS", "off")
    assert 0 == main(["limits"])
    assert "PENSTOCK_LESSONS is off" in capsys.readouterr().out


def test_a_file_that_cannot_be_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder stands there: exit code 2, and why."""
    monkeypatch.setenv("PENSTOCK_LESSONS", str(tmp_path))
    assert 2 == main(["limits", "--forget"])
    assert f"penstock: error: {tmp_path} cannot be thrown away" in capsys.readouterr().err


def test_a_batch_keeps_what_it_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_options: None) -> None:
    """The next run begins with the limits that the headers of this one named."""
    del no_options
    path = tmp_path / "limits.json"
    monkeypatch.setenv("PENSTOCK_LESSONS", str(path))
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    (tmp_path / "in.txt").write_text("a kettle\n")
    settings = ServerSettings(limits=ServerLimits(rpm=600, ipm=300), latency=Latency(0.02, 0.0))
    with serving(settings) as sim:
        assert 0 == batch(tmp_path, sim)
    (kept,) = load(path, time.time())
    assert (sim.base_url, "OPENAI_API_KEY") == (kept.base_url, kept.key.partition(":")[2])
    assert {"requests": 600.0, "images": 300.0} == {one.quantity: one.per_minute for one in kept.lessons.buckets}
    assert "test-key" not in path.read_text()


def test_what_is_configured(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a file and the environment say of each key comes first, with its source and where it is said."""
    config = tmp_path / "p.toml"
    config.write_text("rpm = 60\nipd = 1000\nceiling = true\nmax_concurrency = 8\n")
    utime(config, (NOW, NOW - 7_200.0))
    monkeypatch.setenv("PENSTOCK_RPM", "90")
    assert 0 == main(["limits", "--config", str(config)])
    assert [
        "each key, as configured",
        "  requests          90 a minute  ceiling  PENSTOCK_RPM",
        f"  images            1,000 a day  ceiling  {config}: ipd, changed 2 h ago",
        f"  at a time                   8  ceiling  {config}: max_concurrency, changed 2 h ago",
        "MY_KEY (0123456789ab) at https://one.example/v1, gpt-image-2",
    ] == capsys.readouterr().out.splitlines()[:5]
    config.write_text("tpm = 5\n")
    utime(config, (NOW, NOW - 30.0))
    assert 0 == main(["limits", "--json", "--config", str(config)])
    whole = json.loads(capsys.readouterr().out)
    told = whole["configured"]
    assert ([], {None}) == (whole["keys"], {one["key"] for one in told} | {one["pool"] for one in told})
    assert [("requests", 90.0, 60.0, "limit", None), ("tokens", 5.0, 60.0, "limit", 30)] == [
        (one["quantity"], one["limit"], one["window_seconds"], one["source"], one["age_seconds"]) for one in told
    ]
    assert file.exists()
    config.write_text("rpm = 0\n")
    assert 2 == main(["limits", "--config", str(config)])
    assert "rpm: '0' is not a number above 0" in capsys.readouterr().err


def test_limits_of_a_day_and_a_ceiling_reach_a_batch(tmp_path: Path) -> None:
    """All limits that options name are those of its keys; a ceiling of nothing is a mistake."""
    words = ["--out", str(tmp_path), "--rpm", "60", "--rpd", "900", "--tpd", "1e6", "--ipd", "50", "--ceiling"]
    parser = Parser()
    add_options(parser, BATCH)
    flags = vars(parser.parse_args(words))
    settings = settings_of(resolve(flags, BATCH, {}), {"OPENAI_API_KEY": "a-key"})
    assert Limits(60.0, rpd=900.0, tpd=1e6, ipd=50.0, ceiling=True) == settings.limits
    with pytest.raises(OptionError, match="--ceiling: there is no limit that it could hold: add one"):
        settings_of(resolve({"ceiling": True, "out": tmp_path}, BATCH, {}), {"OPENAI_API_KEY": "a-key"})


def test_limits_of_a_day_reach_generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four pictures with three a day at most the last one is not sent, because it would wait for hours."""
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    with serving(ServerSettings(latency=Latency(0.02, 0.0))) as sim:
        line = ["generate", "a kettle", "-n", "4", "--out", str(tmp_path / "a.png"), "--yes", "--ipd", "3", "--ceiling"]
        line += ["--base-url", sim.base_url, "--model", "gpt-image-2", "--size", "1024x1024", "--quality", "low"]
        assert 0 != main(line)
        assert sim.stats()["executed"] < 4


def batch(folder: Path, sim: SimServer) -> int:
    """One row."""
    given = ["--base-url", sim.base_url, "--model", "gpt-image-2", "--size", "1024x1024", "--quality", "low", "--yes"]
    return main(["batch", str(folder / "in.txt"), "--out", str(folder / "out"), *given])


def test_what_is_configured_of_single_keys_and_pools(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has a paragraph by its name in the file, with its account; what counts before it goes unsaid."""
    config = tmp_path / "p.toml"
    config.write_text(
        'ipm = 50\n[keys.KEY_A]\naccount = "acme"\nrpm = 60\nipm = 5\nmodels = ["one", "two"]\n'
        '[keys.KEY_A.pools.mini]\nmodels = ["one"]\ntpd = 9\n'
    )
    utime(config, (NOW, NOW - 30.0))
    monkeypatch.setenv("PENSTOCK_IPM", "20")
    monkeypatch.setenv("PENSTOCK_API_KEY_ENV", "KEY_A")
    assert 0 == main(["limits", "--config", str(config)])
    assert [
        "each key, as configured",
        "  images            20 a minute  limit    PENSTOCK_IPM",
        "KEY_A, as configured (account acme; models one and two)",
        f"  requests          60 a minute  limit    {config}: keys.KEY_A.rpm, changed 30 s ago",
        "KEY_A, pool mini, as configured (models one)",
        f"  tokens                9 a day  limit    {config}: keys.KEY_A.pools.mini.tpd, changed 30 s ago",
    ] == capsys.readouterr().out.splitlines()[:6]
    assert 0 == main(["limits", "--json", "--config", str(config)])
    told = json.loads(capsys.readouterr().out)
    acme = {"key": "KEY_A", "account": "acme", "weight": None, "models": ["one", "two"], "unused": False}
    assert [acme] == told["keys"]
    assert [(None, None, 20.0), ("KEY_A", None, 60.0), ("KEY_A", "mini", 9.0)] == [
        (one["key"], one["pool"], one["limit"]) for one in told["configured"]
    ]
    assert file.exists()


def test_a_table_of_a_key_that_is_not_used(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its limits would otherwise look as if they counted; the key of a provider of the file is used."""
    del file
    config = tmp_path / "p.toml"
    config.write_text(
        '[providers.mine]\nbase_url = "https://one.example"\napi_key_env = "KEY_B"\n[keys.KEY_A]\nrpm = 60\n'
        "[keys.KEY_B]\nrpm = 70\n"
    )
    monkeypatch.delenv("PENSTOCK_API_KEY_ENV", raising=False)
    assert 0 == main(["limits", "--config", str(config)])
    lines = capsys.readouterr().out.splitlines()
    assert ["KEY_A, as configured (not used: api_key_env names no KEY_A)", "KEY_B, as configured"] == lines[0:3:2]
    assert 0 == main(["limits", "--json", "--config", str(config)])
    assert [True, False] == [one["unused"] for one in json.loads(capsys.readouterr().out)["keys"]]


@pytest.mark.parametrize("command", ["limits", "batch"])
def test_a_model_of_two_pools(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    """Every command says so in the same words, with the names of both tables."""
    del file
    monkeypatch.setenv("KEY_A", "a-key")
    monkeypatch.setenv("PENSTOCK_API_KEY_ENV", "KEY_A")
    config, rows = tmp_path / "p.toml", tmp_path / "in.txt"
    rows.write_text("a kettle\n")
    words = {"limits": ["limits"], "batch": ["batch", str(rows), "--out", str(tmp_path / "out"), "--dry-run"]}[command]
    for first, second in (("pools.p", "pools.q"), ("pools.p", "keys.KEY_A.pools.q")):
        config.write_text("".join(f"[{name}]\nmodels = ['m', 'n']\nipm = 5\n" for name in (first, second)))
        assert 0 != main([*words, "--config", str(config)])
        told = f"{config}: {second}: m stands in {config}: {first}, too: a model draws on one pool, so say it in one"
        assert f"penstock: error: {told}" == capsys.readouterr().err.splitlines()[0]


def test_an_account_stands_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With all its keys: who added up their use would count it twice."""
    other = evolve(KEPT, key="ba9876543210", account="studio")
    write(file, [evolve(KEPT, account="studio"), other, evolve(KEPT, key="cccccccccccc")], NOW)
    assert 0 == main(["limits"])
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    at = "at https://one.example/v1, gpt-image-2"
    assert [f"account studio, MY_KEY (0123456789ab) and ba9876543210 {at}", f"cccccccccccc {at}"] == lines
    assert 0 == main(["limits", "--json"])
    first, second = json.loads(capsys.readouterr().out)["used"]
    assert ([KEPT.key, "ba9876543210"], "studio") == (first["keys"], first["account"])
    assert ("cccccccccccc", "", 240.0) == (second["key"], second["account"], second["used"])
