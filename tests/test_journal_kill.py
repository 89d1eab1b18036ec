"""A process that writes its journal is killed, for real, in the middle of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from penstock.ids import Key
from penstock_io.journal import Journal

WRITER = """
import sys
from itertools import count
from pathlib import Path
from penstock.entries import Intent, Lane, Published, Settled
from penstock.work import Purpose
from penstock_io.journal import Journal

journal = Journal.open(Path(sys.argv[1]))
run = journal.run
def picture(n):
    return b"\\x89PNG\\r\\n\\x1a\\n" + f"{run}-{n} ".encode() * 2000
def say(word, numbers):
    sys.stdout.write("".join(f"{word} {run} {n}\\n" for n in numbers))
    sys.stdout.flush()
for begin in count(1, 4):
    group = range(begin, begin + 4)
    journal.append([
        Intent(n, n, Purpose.GENERATE, "op", Lane("k", "m"), (f"key-{run}-{n}",), ((n, (0,)),), (("run",),), 10, 1.0)
        for n in group
    ])
    say("intent", group)
    written = journal.append([
        Settled(n, (f"key-{run}-{n}",), (journal.payloads.keep(picture(n)),), None, 8, 2.0) for n in group
    ])
    say("settled", group)
    for n in group:
        journal.name(n, {f"key-{run}-{n}": f"final-{run}-{n}"})
    journal.append([
        Published(n, (f"key-{run}-{n}",), one.files, 3.0) for n, one in zip(group, written)
    ])
    journal.release([one.files[0] for one in written])
    say("published", group)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills as Unix does")
def test_nothing_that_was_answered_is_lost_by_a_kill(tmp_path: Path) -> None:
    """Five kills at random moments: what was answered is there, each intent has an end or is told, the books add up."""
    chance = Random(7)
    said: dict[str, set[tuple[int, int]]] = {"intent": set(), "settled": set(), "published": set()}
    for life in range(1, 6):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(chance.randint(1, 150))]
            writer.kill()
            lines += writer.stdout.readlines()
        for word, run, number in map(str.split, filter(lambda line: line.endswith("\n"), lines)):
            said[word].add((int(run), int(number)))
        with Journal.open(tmp_path) as journal:
            assert 2 * life == journal.run
            check(journal, said)


def check(journal: Journal, said: dict[str, set[tuple[int, int]]]) -> None:
    """What was said is true."""
    orphans = {(orphan.run, orphan.attempt) for orphan in journal.orphans()}
    assert set() == orphans & said["settled"]
    ended = journal._db.execute("SELECT run, attempt FROM attempts WHERE ending IS NOT NULL").fetchall()
    assert said["intent"] <= orphans | set(ended)
    settled = journal._db.execute("SELECT count(*) FROM attempts WHERE ending = 'settled'").fetchone()[0]
    (maybe,) = journal._db.execute("SELECT count(*) FROM attempts WHERE ending = 'maybe'").fetchone()
    before = journal.balances().total
    assert (8 * settled, 10 * (len(orphans) + maybe)) == (before.charged, before.maybe)
    for run, number in said["settled"] | said["published"]:
        found = journal.look_up(Key(f"key-{run}-{number}"))
        assert found is not None
        expected = b"\x89PNG\r\n\x1a\n" + f"{run}-{number} ".encode() * 2000
        assert expected == journal.payloads.read(found[1])
    for run, number in said["published"]:
        assert (journal.folder / "images" / f"final-{run}-{number}.png").exists()
    for run, number in orphans:
        journal.resolve(run, number)
    assert ([], before) == (journal.orphans(), journal.balances().total)
    assert not list(journal.folder.rglob(".tmp-*"))
