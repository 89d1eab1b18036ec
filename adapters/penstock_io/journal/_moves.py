"""Shown pictures move on: out of the way of others, or of what is made of them.

A move is a link (or a copy), a commit by which everything that referred to the old name refers to the new one, and then
the old name goes. Whenever the process ends, the picture has the name that the tables say. A name that was to go and
did not is remembered in the same commit, and goes when the folder is opened next.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import count
from pathlib import PurePosixPath

from penstock.errors import UsageError
from penstock_io.journal import _books
from penstock_io.journal._files import IMAGES, MOVABLE, ORIGINALS, SUPERSEDED, Files, check_stem

DERIVED = (".png", ".jpg", ".webp")
"""How names of pictures end that were made of originals."""


def check_move(old: str, new: str) -> None:
    """A file may move from one of the folders of shown pictures to another of them. Raises `UsageError`."""
    folders: list[str] = []
    for name in (old, new):
        folder, _, last = name.partition("/")
        if folder not in MOVABLE:
            raise UsageError(f"not the name of a picture that can move: {name!r}")
        check_stem(last)
        folders.append(folder)
    if folders[0] == folders[1]:
        raise UsageError(f"a picture moves from one folder to another, not within {folders[0]}/")


def aside(db: sqlite3.Connection, files: Files, name: str, taken: set[str]) -> str:
    """A name in `superseded/` that no other file has, also where capitals are not told apart; it is `taken` now."""
    path = PurePosixPath(name)
    numbers = count(1)
    while True:
        number = next(numbers)
        stem = path.stem if number == 1 else f"{path.stem}~{number}"
        new = f"{SUPERSEDED}/{stem}{path.suffix}"
        # a name that is there may be what a crash left between link and commit: then it is this very file
        free = not files.exists(new) or (files.alike(name, new) and not _books.knows(db, new))
        if free and new.casefold() not in taken:
            taken.add(new.casefold())
            return new


def put_derived_aside(db: sqlite3.Connection, files: Files, names: Sequence[str]) -> None:
    """What was made of originals that are to be superseded goes first: no table knows it, and it can be made again."""
    taken: set[str] = set()
    for name in names:
        path = PurePosixPath(name)
        if path.parent.name != ORIGINALS:
            continue
        for suffix in DERIVED:
            made = f"{IMAGES}/{path.stem}{suffix}"
            if files.exists(made) and not _books.knows(db, made):
                files.make(SUPERSEDED)
                files.rename(made, aside(db, files, made, taken))


def clear(db: sqlite3.Connection, files: Files, names: Sequence[str]) -> list[str]:
    """Take names away that files moved away from, unless another file has one again; returns those that are done."""
    done: list[str] = []
    for name in names:
        try:
            if not _books.knows(db, name):
                files.drop(name)
        except (sqlite3.Error, OSError):
            continue  # it is taken away when the folder is opened next
        done.append(name)
    return done
