"""The journal, one promise at a time."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.entries import Deferred, Failed, Held, Intent, Lane, Maybe, Owed, Published, Settled, Void
from penstock.errors import UsageError
from penstock.ids import AttemptId, CallId, JobId, Key, Ref
from penstock.money.balances import Balance, Balances
from penstock.outcomes import Meta
from penstock.readings import Usage
from penstock.work import Purpose
from penstock_io._payloads import Payloads
from penstock_io._sink import FileSink
from penstock_io.journal import Disk, FolderInUse, Journal, JournalStore, JournalUnusable, NewerJournal, Written

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
JPEG = b"\xff\xd8\xff\xe0" + b"picture"
OK = Written()


def intent(attempt: int, *keys: str, quote: int | None = 100, job: int = 1) -> Intent:
    """An intent of one job that pays for all its keys."""
    parts = ((JobId(job), tuple(range(len(keys)))),)
    lane = Lane("key-1", "model-1")
    names = tuple(map(Key, keys))
    return Intent(
        AttemptId(attempt), CallId(attempt), Purpose.GENERATE, "images.generate", lane, names, parts,
        (("run", "tenant:a"),), quote, 5.0,
    )  # fmt: skip


def settled(attempt: int, keys: str, refs: list[Ref], charge: int | None = 90) -> Settled:
    """A settlement of one-letter keys."""
    return Settled(AttemptId(attempt), tuple(map(Key, keys)), tuple(refs), Usage(output_image=7), charge, 6.0)


def published(job: int, keys: str, refs: list[Ref] | tuple[Ref, ...]) -> Published:
    """A publication of one-letter keys."""
    return Published(JobId(job), tuple(map(Key, keys)), tuple(refs), 7.0)


def buy(journal: Journal, attempt: int, key: str, data: bytes = PNG) -> Ref:
    """A picture bought: its held reference."""
    (_, written) = journal.append([intent(attempt, key), settled(attempt, key, [journal.payloads.keep(data)])])
    assert written.fault is None
    return written.files[0]


def names(folder: Path, of: str) -> list[str]:
    """The names in a folder of the journal."""
    return sorted(path.name for path in (folder / of).iterdir())


def test_a_picture_is_durable_settled_published_and_let_go(tmp_path: Path) -> None:
    """The way of one picture: held under its own name, linked to its final name, and the held name goes on release."""
    with Journal.open(tmp_path) as journal:
        held = buy(journal, 1, "a")
        journal.release([held])
        assert PNG == journal.payloads.read(held), "a picture that nobody has published stays"
        journal.name(JobId(1), {Key("a"): "cat", Key("of another target"): "cat"})
        assert [Written((Ref("f:images/cat.png"),))] == journal.append([published(1, "a", [held])])
        assert (["cat.png"], 1) == (names(tmp_path, "images"), len(names(tmp_path, "held")))
        journal.release([held])
        assert ([], PNG) == (names(tmp_path, "held"), (tmp_path / "images" / "cat.png").read_bytes())
        expected = Meta("", "png", len(PNG), 90, 6.0), Ref("f:images/cat.png")
        assert expected == JournalStore(journal).read(Key("a"))


def test_several_askers_share_one_held_file(tmp_path: Path) -> None:
    """Each asker's name is a link of its own; a format decides its extension; a lost sample has no file."""
    with Journal.open(tmp_path) as journal:
        held = buy(journal, 1, "a", JPEG)
        assert [Written((Ref("f:images/1-1-0.jpg"),)), Written((Ref(""), Ref("f:images/1-2-1.jpg")))] == journal.append(
            [published(1, "a", [held]), published(2, "za", [Ref(""), held])]
        )
        assert [OK.fault] == [one.fault for one in journal.append([published(1, "a", [held])])]
        assert (["1-1-0.jpg", "1-2-1.jpg"], {}) == (names(tmp_path, "images"), journal._files._moved)
        assert (tmp_path / "images/1-1-0.jpg").stat().st_ino == (tmp_path / "images/1-2-1.jpg").stat().st_ino


def test_published_again_from_its_own_final_name(tmp_path: Path) -> None:
    """A stored picture is published once more under its own name or another; nothing is left over."""
    with Journal.open(tmp_path) as journal:
        journal.append([published(1, "a", [buy(journal, 1, "a")])])
        found = journal.look_up(Key("a"))
        assert found is not None
        journal.name(JobId(2), {Key("a"): "1-1-0"})
        journal.name(JobId(3), {Key("a"): "other"})
        for job, file in ((2, "f:images/1-1-0.png"), (3, "f:images/other.png"), (3, "f:images/1-3-0.png")):
            assert [Written((Ref(file),))] == journal.append([published(job, "a", [found[1]])])
        again = journal.payloads.keep(PNG)
        assert [Written((Ref("f:images/1-4-0.png"),))] == journal.append([published(4, "b", [again])])
        assert ["1-1-0.png", "1-3-0.png", "1-4-0.png", "other.png"] == names(tmp_path, "images")
        assert journal.look_up(Key("b")) is not None


class Syncs(Disk):
    """A disk that remembers which folders were synced, each with the names that it had."""

    def __init__(self) -> None:
        self.synced: list[tuple[Path, set[str]]] = []

    def sync_folder(self, path: Path) -> None:
        """Make a folder's names durable."""
        super().sync_folder(path)
        self.synced.append((path, {each.name for each in path.iterdir()}))


def test_a_new_folder_has_a_durable_name(tmp_path: Path) -> None:
    """Where the folder and those above it are new, each folder that got a new name is synced; of old ones none is."""
    disk = Syncs()
    new = tmp_path / "a" / "b" / "c"
    with Journal.open(new, disk=disk):
        assert [(tmp_path, {"a"}), (tmp_path / "a", {"b"}), (tmp_path / "a" / "b", {"c"})] == disk.synced[:3]
    disk.synced.clear()
    with Journal.open(new, disk=disk):
        assert {new} == {path for path, _ in disk.synced}


class NoLinks(Disk):
    """A file system without hard links, as FAT."""

    def link(self, old: Path, new: Path) -> None:
        """Refuse."""
        del old
        raise PermissionError(1, "Operation not permitted", str(new))


def test_without_links_pictures_are_copied(tmp_path: Path) -> None:
    """Where links fail the final names are files of their own, also in groups."""
    with Journal.open(tmp_path, disk=NoLinks()) as journal:
        refs = [buy(journal, number, key) for number, key in enumerate("abc", 1)]
        journal.append(
            [published(number, key, [ref]) for number, (key, ref) in enumerate(zip("abc", refs, strict=True))]
        )
        journal.append([published(8, "a", refs[:1]), published(9, "b", refs[1:2])])
        assert 5 == len(names(tmp_path, "images"))
        for name in names(tmp_path, "images"):
            assert (1, PNG) == ((tmp_path / "images" / name).stat().st_nlink, (tmp_path / "images" / name).read_bytes())


@pytest.mark.parametrize(
    "stem", ["", ".", "..", "../x", "a/b", "/etc/x", "a\\b", "C:x", "a\0b", ".hidden", "x\ny", "ü" * 101, "\ud800"]
)
def test_final_names_cannot_escape(tmp_path: Path, stem: str) -> None:
    """A name is one visible component of bounded length; anything else is refused before anything changed."""
    with Journal.open(tmp_path) as journal:
        with pytest.raises(UsageError):
            journal.name(JobId(1), {Key("a"): stem})
        journal.append([published(1, "a", [buy(journal, 1, "a")])])
        assert ["1-1-0.png"] == names(tmp_path, "images")


def test_references_cannot_escape(tmp_path: Path) -> None:
    """A reference that leads out of the folder is refused."""
    with Journal.open(tmp_path / "in") as journal, pytest.raises(UsageError):
        journal.append([published(1, "a", [Ref("f:../x")])])


def test_a_file_sinks_file_becomes_the_held_one(tmp_path: Path) -> None:
    """What a file sink wrote is renamed, not copied, and its text moves along."""
    with Journal.open(tmp_path) as journal:
        sink = FileSink(journal.payloads)
        sink.begin(0)
        sink.write(b"iVBORw0KGgo=")
        temporary = sink.end().ref
        sink.note(temporary, "revised")
        (_, written) = journal.append([intent(1, "a"), settled(1, "a", [temporary])])
        assert (1, "revised") == (len(names(tmp_path, "held")), journal.payloads.note(written.files[0]))
        assert journal.look_up(Key("a")) is not None


def test_a_text_is_beside_the_shown_picture_too(tmp_path: Path) -> None:
    """What a provider said of a picture stands beside each name that it is shown under, and beside the held one."""
    with Journal.open(tmp_path) as journal:
        held = buy(journal, 1, "a")
        journal.payloads.annotate(held, "revised")
        shown = [journal.append([published(job, "a", [held])])[0].files[0] for job in (1, 2)]
        assert ["revised"] * 3 == [journal.payloads.note(ref) for ref in (held, *shown)]


def test_a_missing_or_changed_file_is_a_miss(tmp_path: Path) -> None:
    """A picture counts as stored only while its file is there with its length."""
    with Journal.open(tmp_path) as journal:
        for number, key in enumerate("abc", 1):
            buy(journal, number, key)
        for name, content in zip(names(tmp_path, "held")[:2], (None, b"cut"), strict=True):
            (tmp_path / "held" / name).write_bytes(content) if content else (tmp_path / "held" / name).unlink()
        assert [True, True, False] == [journal.look_up(Key(key)) is None for key in "abc"]
        assert journal.look_up(Key("never bought")) is None


def test_every_ending_is_booked_once_and_adds_up(tmp_path: Path) -> None:
    """Charged, maybe and unknown by scope, over runs; orphans and unknown charges count at their quote."""
    with Journal.open(tmp_path) as journal:
        journal.append([intent(number, "k" + str(number)) for number in range(1, 8)])
        journal.append([
            settled(1, "a", [Ref("")], 90),
            Failed(AttemptId(2), "invalid", 3, 6.0),
            Maybe(AttemptId(3), "uncertain", 100, 6.0),
            Void(AttemptId(4), "cancelled", 6.0),
            settled(5, "b", [Ref("")], None),
            settled(1, "a", [Ref("")], 90),
            Void(AttemptId(99), "its intent was faulted", 6.0),
        ])  # fmt: skip
        own = Balance(charged=93, maybe=200, unknown=1)
        assert Balances((("run", own), ("tenant:a", own))) == journal.balances()
        assert [] == journal.orphans()
    with Journal.open(tmp_path) as journal:
        both = Balance(charged=93, maybe=400, unknown=1)
        assert both == journal.balances().total
        assert [(1, 6, 100), (1, 7, 100)] == [(o.run, o.attempt, o.quote) for o in journal.orphans()]
        journal.append([intent(6, "z")])
        assert () == journal.resolve(1, AttemptId(6))
        assert () == journal.resolve(1, AttemptId(6))
        assert [7] == [o.attempt for o in journal.orphans()]
        assert both == journal.balances().total


def test_a_charge_is_spread_over_jobs_by_their_samples(tmp_path: Path) -> None:
    """Two jobs in one call: each pays its samples, the first picture carries the remainder."""
    with Journal.open(tmp_path) as journal:
        joint = Intent(
            AttemptId(1), CallId(1), Purpose.GENERATE, "op", Lane("k", "m"), (Key("a"), Key("b"), Key("c")),
            ((JobId(1), (0,)), (JobId(2), (0, 1))), (("run", "tag:x"), ("run", "tag:y")), 100, 1.0,
        )  # fmt: skip
        screen = Intent(
            AttemptId(2), CallId(2), Purpose.SCREEN, "moderations", Lane("k", "m"), (), ((JobId(1), ()),),
            (("run", "tag:x"),), 10, 1.0,
        )  # fmt: skip
        refs = [journal.payloads.keep(PNG + letter) for letter in (b"1", b"2", b"3")]
        journal.append([joint, screen, settled(1, "abc", refs, 101), Settled(AttemptId(2), (), (), None, 7, 2.0)])
        balances = journal.balances()
        figures = [balances.of(scope).charged for scope in ("run", "tag:x", "tag:y")]
        assert [108, 35 + 7, 66] == figures
        found = [journal.look_up(Key(key)) for key in "abc"]
        assert [35, 33, 33] == [one[0].cost for one in found if one is not None]


def test_owed_is_an_end_for_the_money_and_bytes_stay_due(tmp_path: Path) -> None:
    """Owed books the charge, keeps what already has bytes, and is told as due by the next run, as is what was lost."""
    with Journal.open(tmp_path) as journal:
        url, data = journal.payloads.keep_url("https://x/?sig=s"), journal.payloads.keep(PNG)
        for attempt in (1, 2):
            journal.append([intent(attempt, "a", "b")])
        owed = Owed(AttemptId(1), (Key("a"), Key("b")), (url, data), None, 80, 3600.0, 6.0)
        (written,) = journal.append([owed])
        assert (url, True) == (written.files[0], written.files[1].startswith("f:held/"))
        assert "https://x/?sig=s" == journal.payloads.url(url)
        journal.append([Owed(AttemptId(2), (Key("c"),), (url,), None, 10, 3600.0, 6.0), settled(2, "c", [Ref("")], 10)])
    with Journal.open(tmp_path) as journal:
        told = [(orphan.attempt, orphan.due, orphan.charge, orphan.expires) for orphan in journal.orphans()]
        assert [(1, True, 80, 3600.0), (2, True, 10, 3600.0)] == told
        assert 90 == journal.balances().total.charged
        for attempt in (1, 2):
            journal.resolve(1, AttemptId(attempt))
        assert ([], 90, 0) == (journal.orphans(), journal.balances().total.charged, journal.balances().total.maybe)


def test_a_durable_picture_whose_settlement_was_cut_off_is_kept(tmp_path: Path) -> None:
    """Bytes that reached their held name before a crash are found when the orphan is told; the money stays maybe."""
    with Journal.open(tmp_path) as journal:
        journal.append([intent(1, "a", "b")])
        journal._db.execute("PRAGMA query_only = ON")
        (fault,) = journal.append([settled(1, "b", [journal.payloads.keep(PNG)])])
        assert "journal: attempt to write a readonly database" == fault.fault
        journal._db.execute("PRAGMA query_only = OFF")
    with Journal.open(tmp_path) as journal:
        assert (Key("b"),) == journal.resolve(1, AttemptId(1))
        found = journal.look_up(Key("b"))
        assert found is not None
        assert (None, PNG) == (found[0].cost, journal.payloads.read(found[1]))
        assert Balance(maybe=100) == journal.balances().total


def test_a_full_disk_takes_the_group_back_and_it_can_be_written_again(tmp_path: Path) -> None:
    """SQLite's own full disk: every entry of the group has the fault, nothing of it is booked, and again it works."""
    with Journal.open(tmp_path) as journal:
        (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
        journal._db.execute(f"PRAGMA max_page_count = {pages}")
        group = [intent(number, *(f"{number}-{place}" * 20 for place in range(100))) for number in range(1, 9)]
        refs = [journal.payloads.keep(PNG)]
        journal.put_row("r", "{}")
        assert [Written(fault="journal: database or disk is full")] * 9 == journal.append(
            [*group, settled(1, "a", refs)]
        )
        assert (Balances(), {"r": "{}"}) == (journal.balances(), journal.rows())
        journal._db.execute("PRAGMA max_page_count = 1000000")
        (*begun, end) = journal.append([*group, settled(1, "a", refs)])
        assert ([OK] * 8, None) == (begun, end.fault)
        assert PNG == journal.payloads.read(end.files[0])


def test_a_payload_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    """Bytes that were released by mistake fault the group and say which; nothing is raised."""
    with Journal.open(tmp_path) as journal:
        (written,) = journal.append([settled(1, "a", [Ref("m:77")])])
        assert "journal: no bytes behind the reference: m:77" == written.fault


def test_rows_and_marks_ride_with_the_next_group(tmp_path: Path) -> None:
    """Rows and verdicts are seen at once, durable with the next group or `flush`, and wait for no disk."""
    with Journal.open(tmp_path) as journal:
        buy(journal, 1, "a")
        journal.put_rows({"r1": "{}", "r2": "{}"})
        journal.put_row("r1", '{"done": true}')
        store = JournalStore(journal)
        assert store.mark(Key("a"), Meta("8x8", policy="p@1", passed=False), Ref("f:x"))
        meta = Meta("8x8", "png", len(PNG), 90, 6.0, "p@1", passed=False)
        found = store.read(Key("a"))
        assert found is not None
        assert (meta, {"r1": '{"done": true}', "r2": "{}"}) == (found[0], journal.rows())
        other = sqlite3.connect(tmp_path / "journal.sqlite")
        assert [(0,)] == other.execute("SELECT count(*) FROM rows").fetchall()
        journal.append([Void(AttemptId(1), "", 1.0)])
        assert [(2,)] == other.execute("SELECT count(*) FROM rows").fetchall()
        other.close()
        store.write(Key("a"), Meta("9x9", policy="p@2"), PNG)
        journal.put_row("r3", "{}")
    with Journal.open(tmp_path) as journal:
        found = journal.look_up(Key("a"))
        assert found is not None
        assert ("9x9", "p@2", {"r1", "r2", "r3"}) == (found[0].size, found[0].policy, set(journal.rows()))


def test_how_long_a_picture_took_is_known_of_this_run(tmp_path: Path) -> None:
    """A hit says what it spared, also after a verdict; of earlier runs only what the store is told."""
    with Journal.open(tmp_path) as journal:
        buy(journal, 1, "a")
        store = JournalStore(journal)
        store.mark(Key("a"), Meta("8x8", seconds=12.5), Ref("f:x"))
        store.write(Key("a"), Meta("8x8", policy="p@1"), PNG)
        found = store.read(Key("a"))
        assert found is not None
        assert (12.5, "p@1") == (found[0].seconds, found[0].policy)
    with Journal.open(tmp_path) as journal:
        later = [JournalStore(journal).read(Key("a")), JournalStore(journal, {Key("a"): 9.0}).read(Key("a"))]
        assert [0.0, 9.0] == [one and one[0].seconds for one in later]


def test_a_verdict_does_not_pass_to_the_next_picture_of_the_key(tmp_path: Path) -> None:
    """A mark that waits belongs to the picture that was there: the one bought anew is unscreened."""
    with Journal.open(tmp_path) as journal:
        buy(journal, 1, "a")
        journal.mark(Key("a"), Meta(policy="p@1"))
        buy(journal, 2, "a", JPEG)
        found = journal.look_up(Key("a"))
        assert found is not None
        assert ("", "jpeg") == (found[0].policy, found[0].format)


def test_rows_are_unicode(tmp_path: Path) -> None:
    """Text that no database takes is refused where it comes in, not in the next group."""
    with Journal.open(tmp_path) as journal:
        with pytest.raises(UsageError):
            journal.put_row("\ud800", "{}")
        assert {} == journal.rows()


def test_held_and_deferred_are_kept(tmp_path: Path) -> None:
    """A refused picture stays in `held/` with its reason, whatever its text; a deferral is remembered."""
    with Journal.open(tmp_path) as journal:
        held = buy(journal, 1, "a")
        journal.name(JobId(1), {Key("a"): "x"})
        refused = Held(JobId(1), (Key("a"),), (held,), "p@1", "no \ud800", 1.0)
        assert [Written((held,)), OK] == journal.append([refused, Deferred(JobId(2), (Key("b"),), "later", 1.0)])
        journal.release([held])
        assert 1 == len(names(tmp_path, "held"))
        rows = journal._db.execute("SELECT job, keys, reason FROM refused UNION SELECT job, keys, reason FROM deferred")
        assert [(1, '["a"]', "no ?"), (2, '["b"]', "later")] == sorted(rows)


def test_a_folder_is_held_by_one_process(tmp_path: Path) -> None:
    """A second opener, here or in another process, is refused by the holder's name; afterwards the folder is free."""
    with Journal.open(tmp_path):
        with pytest.raises(FolderInUse) as refused:
            Journal.open(tmp_path)
        assert refused.value.holder.startswith(f"process {os.getpid()} on ")
        code = (
            "import sys; from pathlib import Path; from penstock_io.journal import Journal\n"
            "Journal.open(Path(sys.argv[1]))"
        )
        other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
        assert (1, True) == (other.returncode, f"in use by process {os.getpid()} on " in other.stderr)
    with Journal.open(tmp_path) as journal:
        assert 2 == journal.run


def test_a_newer_journal_is_refused_by_its_version(tmp_path: Path) -> None:
    """A schema of the future is not touched, and the folder is free again."""
    Journal.open(tmp_path).close()
    db = sqlite3.connect(tmp_path / "journal.sqlite")
    db.execute("PRAGMA user_version = 9")
    db.close()
    for _ in range(2):
        with pytest.raises(NewerJournal, match=r"schema 9; this penstock knows 5"):
            Journal.open(tmp_path)


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    """A file that is no database, a folder that is a file, and payloads of elsewhere are named as such."""
    (tmp_path / "journal.sqlite").write_bytes(b"something else" * 100)
    for folder in (tmp_path, tmp_path / "journal.sqlite"):
        with pytest.raises(JournalUnusable, match="cannot be used"):
            Journal.open(folder)
    with pytest.raises(UsageError):
        Journal.open(tmp_path / "new", payloads=Payloads(tmp_path))


def test_leftovers_are_swept_when_the_folder_is_opened(tmp_path: Path) -> None:
    """Temporary files go, and held names that were published before a crash ate their release."""
    with Journal.open(tmp_path) as journal:
        journal.append([published(1, "a", [buy(journal, 1, "a")])])
        buy(journal, 2, "b")
        for name in ("held/.tmp-1", "images/.tmp-2"):
            (tmp_path / name).write_bytes(b"half")
    with Journal.open(tmp_path) as journal:
        assert (1, ["1-1-0.png"]) == (len(names(tmp_path, "held")), names(tmp_path, "images"))
        assert journal.look_up(Key("b")) is not None


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"GIF89a", "gif"),
        (b"GIF8what", "bin"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b" <svg>", "svg"),
        (b"\xef\xbb\xbf<!DOCTYPE svg>", "svg"),
        (b"what", "bin"),
        (JPEG, "jpg"),
    ],
)
def test_extensions_come_from_the_bytes(tmp_path: Path, head: bytes, name: str) -> None:
    """A file's extension is what its first bytes say."""
    with Journal.open(tmp_path) as journal:
        assert buy(journal, 1, "a", head).endswith(f".{name}")


def test_intents_keep_what_a_report_needs(tmp_path: Path) -> None:
    """An orphan says its lane, keys, parts and scopes; usage stands with a settlement."""
    first = intent(1, "a", "b")
    with Journal.open(tmp_path) as journal:
        journal.append([first, intent(2, "c"), settled(2, "c", [Ref("")])])
        ((usage,),) = journal._db.execute("SELECT usage FROM attempts WHERE attempt = 2").fetchall()
        assert 7 == json.loads(usage)["output_image"]
    with Journal.open(tmp_path) as journal:
        (orphan,) = journal.orphans()
        assert (first.keys, first.parts, first.scopes) == (orphan.keys, orphan.parts, orphan.scopes)
        assert (first.lane, "generate", 5.0, False) == (orphan.lane, orphan.purpose, orphan.at, orphan.due)
