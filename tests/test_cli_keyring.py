"""What a settings file says of single keys and of pools, and which credentials come of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from penstock.config import Credential, Limits, Pool
from penstock_io._access import fingerprint
from penstock_io.batch.rereading import compare
from penstock_io.cli.choosing import settings_of
from penstock_io.cli.config import OptionError, Values, resolve
from penstock_io.cli.connecting import connect
from penstock_io.cli.options import BATCH

ENVIRON = {
    "KEY_A": "secret-a",
    "KEY_B": "secret-b",
    "KEY_C": "secret-a",
    "PENSTOCK_API_KEY_ENV": "KEY_A,KEY_B",
}
A, B = fingerprint("secret-a"), fingerprint("secret-b")


def values(tmp_path: Path, text: str, environ: dict[str, str] = ENVIRON) -> Values:
    """The options of a file."""
    file = tmp_path / "p.toml"
    file.write_text(text)
    return resolve({"config": file, "out": tmp_path / "out"}, BATCH, environ)


def credentials(tmp_path: Path, text: str, environ: dict[str, str] = ENVIRON) -> tuple[Credential, ...]:
    """What comes of a file, for keys that have something said of them alone."""
    return connect(values(tmp_path, text, environ), environ).credentials


def test_a_table_says_what_is_different_for_one_key(tmp_path: Path) -> None:
    """Account, weight, models and limits; what it leaves open is as it is for all, and the other key needs none."""
    table = """
        rpm = 60
        [keys.KEY_B]
        account = "acme"
        weight = 0.5
        models = ["m"]
        ipm = 5
        max_concurrency = 3
        ceiling = true
    """
    limits = Limits(60.0, None, 5.0, 3, ceiling=True)
    assert (Credential(B, "default", limits, ("m",), 0.5, "acme"),) == credentials(tmp_path, table)
    assert () == credentials(tmp_path, "rpm = 60")


def test_all_keys_may_belong_to_one_account(tmp_path: Path) -> None:
    """The option says it of each; a table may except one, but not from what a variable says."""
    table = 'account = "acme"\n[keys.KEY_B]\naccount = "other"'
    assert [(A, "acme"), (B, "other")] == [(one.name, one.account) for one in credentials(tmp_path, table)]
    environ = ENVIRON | {"PENSTOCK_ACCOUNT": "one"}
    assert [(A, "one"), (B, "one")] == [(one.name, one.account) for one in credentials(tmp_path, table, environ)]


@pytest.mark.parametrize("named", ["KEY_A,KEY_C", "KEY_C,KEY_A"])
@pytest.mark.parametrize("account", ["", "account = 'acme'\n"])
def test_a_key_that_two_variables_hold(tmp_path: Path, named: str, account: str) -> None:
    """What is said of either is said of the key, whichever is named first; it is one credential."""
    environ = ENVIRON | {"PENSTOCK_API_KEY_ENV": named}
    for table in ("[keys.KEY_C]\nrpm = 5", "[keys.KEY_A]\nrpm = 5\n[keys.KEY_C]\nrpm = 5"):
        (one,) = credentials(tmp_path, account + table, environ)
        assert (A, Limits(5.0), "acme" if account else "") == (one.name, one.limits, one.account)


def test_pools_are_of_all_keys_or_of_one(tmp_path: Path) -> None:
    """What a pool leaves open is as its key has it, and what that leaves open as it is for all."""
    table = """
        tpm = 1000
        [pools.mini]
        models = ["m", "n"]
        ipm = 5
        [keys.KEY_B]
        rpm = 7
        [keys.KEY_B.pools.large]
        models = ["l"]
        ipm = 1
    """
    mini = Pool("mini", ("m", "n"), Limits(tpm=1000.0, ipm=5.0))
    mine = Pool("mini", ("m", "n"), Limits(7.0, 1000.0, 5.0)), Pool("large", ("l",), Limits(7.0, 1000.0, 1.0))
    assert [(mini,), mine] == [one.pools for one in credentials(tmp_path, table)]


def test_a_flag_counts_before_a_table(tmp_path: Path) -> None:
    """As everywhere: what is said for this run alone is not overruled by a file."""
    (one,) = credentials(tmp_path, "[keys.KEY_A]\nrpm = 5\nipm = 2", ENVIRON | {"PENSTOCK_RPM": "9"})
    assert Limits(9.0, None, 2.0) == one.limits


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("keys = 'sk-secret'", "keys: must be tables, such as .*; a key itself does not belong into a file$"),
        ("[keys.'sk-secret']", "keys: a table is named by the environment variable .* does not belong into a file$"),
        ("[keys]\nKEY_A = 'sk-secret'", "keys.KEY_A: must be a table, such as"),
        ("[keys.KEY_A]\nacount = 'a'", "keys.KEY_A.acount: unknown; did you mean account\\?"),
        ("[keys.KEY_A]\napi_key = 'sk-secret'", "keys.KEY_A.api_key: a key does not belong into a file"),
        ("[keys.KEY_A]\nweight = 0", "keys.KEY_A.weight: '0' is not a number above 0"),
        ("[keys.KEY_A]\nrpm = 'many'", "keys.KEY_A.rpm: must be a number, such as 60"),
        ("[keys.KEY_A]\nceiling = true", "keys.KEY_A.ceiling: there is no limit that it could hold"),
        ("pools = 5", "pools: must be a table, such as"),
        ("[pools.p]\nipm = 5", "pools.p: models is missing"),
        ("[pools.p]\nmodels = ['m']\nweight = 2", "pools.p.weight: unknown; there are models, "),
        (
            "[keys.KEY_A.pools.p]\nmodels = ['m']\n[pools.q]\nmodels = ['m']",
            "keys.KEY_A.pools.p: m stands in .*pools.q, too",
        ),
        ("[keys.KEY_A]\nrpm = 1\n[keys.KEY_C]\nrpm = 2", "keys.KEY_C: KEY_A and KEY_C hold the same key, but other"),
        ("account = 'a'\n[keys.KEY_B]\nrpm = 5", "keys.KEY_B: KEY_A and KEY_B belong to one account \\(a\\)"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_field(tmp_path: Path, table: str, message: str) -> None:
    """And no message repeats what may be a key."""
    with pytest.raises(OptionError, match=message) as error:
        credentials(tmp_path, table, ENVIRON | {"PENSTOCK_API_KEY_ENV": "KEY_A,KEY_B,KEY_C"})
    assert str(error.value).startswith(f"{tmp_path / 'p.toml'}: ")
    assert "sk-secret" not in str(error.value)


def test_a_table_of_no_key_is_told(tmp_path: Path) -> None:
    """A slip in its name would otherwise be passed over."""
    (stray,) = values(tmp_path, "[keys.KEY_C]\nweight = 2\n[keys.KEY_A]\nweight = 2").strays
    assert f"{tmp_path / 'p.toml'}: keys.KEY_C: it says nothing of any key: api_key_env names no KEY_C" == stray


def test_what_changes_of_single_keys_while_a_batch_runs(tmp_path: Path) -> None:
    """It is told by their names, and all keys are said anew: limits of all must not overrule those of one."""
    old = settings_of(values(tmp_path, "[keys.KEY_B]\nrpm = 5"), ENVIRON)
    new = settings_of(values(tmp_path, "ipm = 9\n[keys.KEY_B]\nrpm = 5\naccount = 'a'"), ENVIRON)
    change = compare(old, new)
    assert "account, weight, models, pools or limits of KEY_B are others" in change.told
    assert change.credentials is not None
    assert [(A, Limits(ipm=9.0), ""), (B, Limits(5.0, ipm=9.0), "a")] == [
        (one.name, one.limits, one.account) for one in change.credentials
    ]
    assert None is compare(new, evolve(new, deadline=5.0)).credentials


def test_an_account_is_one_quota_for_estimates(tmp_path: Path) -> None:
    """Two keys of one account make a batch no faster than one."""
    apart = settings_of(values(tmp_path, "ipm = 9"), ENVIRON)
    shared = settings_of(values(tmp_path, "ipm = 9\naccount = 'a'\n[keys.KEY_B]\nmodels = ['m']"), ENVIRON)
    assert [A, B] == list(apart.quotas("m"))
    assert {A: ("m", Limits(ipm=9.0))} == shared.quotas("m")
