"""Why a folder or a file cannot be used, and what to do about it: what the system says, in words."""

from __future__ import annotations

import errno
import os
import sqlite3

_KINDS: tuple[tuple[frozenset[int], tuple[str, ...], str], ...] = (
    (
        frozenset({errno.EROFS}),
        ("readonly database",),
        "it may only be read, or its disk is mounted read-only; make it writable, or name another place",
    ),
    (
        frozenset({errno.EACCES, errno.EPERM}),
        ("unable to open database", "access permission denied"),
        "this user may not read and write it; make it, and all in it, readable and writable, or name another place",
    ),
    (
        frozenset({errno.ENOSPC, errno.EDQUOT}),
        ("disk is full",),
        "there is no room left on its disk; make room, or name another place",
    ),
    (
        frozenset({errno.ENOTDIR, errno.EEXIST, errno.EISDIR}),
        (),
        "a file is where a folder has to be, or a folder where a file has to be; move it away, or name another place",
    ),
    (
        frozenset(),
        ("database is locked", "database table is locked"),
        "another program has its database open; end that program, then try again",
    ),
    (
        frozenset({errno.EIO}),
        ("disk I/O error",),
        "its disk cannot be read or written; see what ails it; a copy on another disk goes on just as well",
    ),
    (
        frozenset(),
        ("malformed", "file is not a database", "file is encrypted"),
        "it is damaged, or no database of penstock's; put a copy of it in its place, or name another place",
    ),
    (
        frozenset({errno.EMFILE, errno.ENFILE}),
        (),
        "too many files are open; raise the limit (ulimit -n), or open fewer",
    ),
)


def why(fault: OSError | sqlite3.Error) -> str:
    """A fault as a clause: what it means and the remedy, where one is known, else what the system says."""
    number = fault.errno if isinstance(fault, OSError) else None
    text = str(fault)
    for numbers, texts, said in _KINDS:
        if number in numbers or any(one in text for one in texts):
            return said
    if isinstance(fault, OSError) and number is not None:
        where = f" ({os.fsdecode(fault.filename)})" if isinstance(fault.filename, str | bytes) else ""
        return f"the system says: {os.strerror(number)}{where}"
    return f"the database says: {' '.join(text.split())}"
