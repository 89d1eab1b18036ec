"""The pictures of a folder: durable in `held/` when they are paid, linked to final names in `images/` when shown.

From there they may move on: to `superseded/` when others take their place, to `originals/` when converted ones do.

A file has a name that does not begin with `.tmp-` only when its bytes are durable. Names of held files say whose they
are (run, attempt, digest of the key), so that a picture whose settlement a crash cut off is still found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TypeVar

from attrs import evolve, field, frozen

from penstock.errors import UsageError
from penstock.ids import AttemptId, Key, Ref
from penstock.wire import sniff
from penstock_io._payloads import TEMPORARY, Payloads
from penstock_io.journal._disk import Disk, double

HELD = "held"
IMAGES = "images"
ORIGINALS = "originals"
SUPERSEDED = "superseded"
MOVABLE = frozenset({IMAGES, ORIGINALS, SUPERSEDED})
_THREADS = 8
_LONGEST = 200
_EXTENSIONS = {"jpeg": "jpg", "": "bin"}

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def extension(name: str) -> str:
    """The extension of a format, with its dot."""
    return f".{_EXTENSIONS.get(name, name)}"


def check_stem(stem: str) -> str:
    """A final name without its extension: one component that stays in its folder. Raises `UsageError`."""
    bad = set('/\\:*?"<>|')
    if not stem or stem.startswith(".") or any(c in bad or not c.isprintable() for c in stem):
        raise UsageError(f"not the name of a picture: {stem!r}")
    if len(stem.encode("utf-8", "replace")) > _LONGEST:
        raise UsageError(f"a picture's name is longer than {_LONGEST} bytes: {stem[:40]!r}...")
    return stem


@frozen
class File:
    """A durable picture: its name below the folder ("held/1-7-0-9c56cc51b374.png"), its format, its length in bytes.

    `revised` is the prompt as the provider revised it, "" where it did not.
    """

    name: str
    format: str
    nbytes: int
    revised: str = field(default="", repr=False)

    @property
    def ref(self) -> Ref:
        """Its reference."""
        return Ref(f"f:{self.name}")


@frozen
class Wanted:
    """Bytes behind `ref` that are to have the name `stem` with the extension of their format."""

    ref: Ref
    stem: str


@frozen
class Shown:
    """A picture with its final name: the `file`, and the `source` it was linked from ('' for bytes in memory)."""

    file: File
    source: str


class Files:
    """The files of one folder. Methods raise `OSError`; whatever was begun then may be asked for again."""

    def __init__(self, folder: Path, disk: Disk, payloads: Payloads) -> None:
        self._folder = folder
        self._disk = disk
        self._payloads = payloads
        self._moved: dict[Ref, File] = {}
        self._elsewhere: dict[str, str] = {}
        self._links = True
        self._pool: ThreadPoolExecutor | None = None
        for name in (HELD, IMAGES):
            (folder / name).mkdir(exist_ok=True)
        disk.sync_folder(folder)

    def hold(self, wanted: Sequence[Wanted]) -> list[File]:
        """Make bytes durable in `held/`: files in parallel, one sync of the folder."""
        files = self._each(self._hold, wanted)
        if any(file.name.startswith(HELD) for file in files):
            self._disk.sync_folder(self._folder / HELD)
        return files

    def show(self, wanted: Sequence[Wanted]) -> list[Shown]:
        """Give pictures their final names in `images/`: linked, or copied in parallel; one sync of the folder."""
        if self._links and wanted:
            shown = [self._show(one) for one in wanted]
        else:
            shown = self._each(self._show, wanted)
        if shown:
            self._disk.sync_folder(self._folder / IMAGES)
        return shown

    def recorded(self, refs: Iterable[Ref]) -> None:
        """These references are settled: nobody will ask for them again."""
        for ref in refs:
            self._moved.pop(ref, None)

    def intact(self, name: str, nbytes: int) -> bool:
        """Whether a file is still there with its length."""
        try:
            return (self._folder / name).stat().st_size == nbytes
        except OSError:
            return False

    def drop(self, name: str) -> None:
        """Take a name away."""
        self._disk.unlink(self._folder / name)

    def exists(self, name: str) -> bool:
        """Whether there is a file, or anything else, of that name."""
        return (self._folder / name).exists()

    def alike(self, name: str, other: str) -> bool:
        """Whether both names are those of one file."""
        try:
            return (self._folder / name).samefile(self._folder / other)
        except OSError:
            return False

    def double(self, moves: Sequence[tuple[str, str]]) -> None:
        """Give files a second name each, in place of whatever has it: a folder is made where there is none."""
        for name in dict.fromkeys(PurePosixPath(new).parent.name for _, new in moves):
            self.make(name)
        self._each(self._move, moves)
        for name in dict.fromkeys(PurePosixPath(new).parent.name for _, new in moves):
            self._disk.sync_folder(self._folder / name)

    def make(self, name: str) -> None:
        """A folder for pictures, where there is none."""
        if not (self._folder / name).is_dir():
            (self._folder / name).mkdir()
            self._disk.sync_folder(self._folder)

    def rename(self, old: str, new: str) -> None:
        """Another name for a file that the journal does not know."""
        self._disk.rename(self._folder / old, self._folder / new)

    def moved(self, moves: Sequence[tuple[str, str]]) -> None:
        """References to the old names mean the new ones from now on."""
        for old, new in moves:
            self._elsewhere.pop(new, None)
            self._elsewhere[old] = new

    def held(self) -> list[str]:
        """The durable names in `held/`."""
        return [f"{HELD}/{p.name}" for p in (self._folder / HELD).iterdir() if not p.name.startswith(TEMPORARY)]

    def sweep(self) -> None:
        """Delete the temporary files of earlier runs."""
        for name in (HELD, *sorted(MOVABLE)):
            for path in (self._folder / name).glob(f"{TEMPORARY}*"):
                self._disk.unlink(path)

    def look(self, name: str) -> File:
        """What a durable file is."""
        path = self._folder / name
        with path.open("rb") as file:
            return File(name, sniff(file.read(32)), path.stat().st_size)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _each(self, work: Callable[[_In], _Out], items: Sequence[_In]) -> list[_Out]:
        if len(items) < 2:
            return [work(item) for item in items]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, "penstock-files")
        futures = [self._pool.submit(work, item) for item in items]
        for future in futures:
            future.exception()  # all must have ended before any fault is told: nothing writes behind its back
        return [future.result() for future in futures]

    def _hold(self, wanted: Wanted) -> File:
        moved = self._moved.get(wanted.ref)
        if moved is not None:
            return moved
        path = self._payloads.path(wanted.ref)
        if path is not None and not path.name.startswith(TEMPORARY):
            return evolve(self.look(self._now(path)), revised=self._payloads.words(wanted.ref))
        if path is None:
            data = self._payloads.read(wanted.ref)
            head, nbytes = data[:32], len(data)
            path = self._temporary(HELD)
            self._disk.write(path, data)
        else:
            self._disk.sync(path)
            with path.open("rb") as file:
                head, nbytes = file.read(32), path.stat().st_size
        file_format = sniff(head)
        held = File(
            f"{HELD}/{wanted.stem}{extension(file_format)}", file_format, nbytes, self._payloads.words(wanted.ref)
        )
        self._disk.rename(path, self._folder / held.name)
        self._moved[wanted.ref] = held
        return held

    def _show(self, wanted: Wanted) -> Shown:
        moved = self._moved.get(wanted.ref)
        path = self._folder / moved.name if moved is not None else self._payloads.path(wanted.ref)
        temporary = self._temporary(IMAGES)
        if path is None:
            data = self._payloads.read(wanted.ref)
            form = sniff(data[:32])
            file = File(f"{IMAGES}/{wanted.stem}{extension(form)}", form, len(data), self._payloads.words(wanted.ref))
            self._disk.write(temporary, data)
            source = ""
        else:
            source = self._now(path)
            old = self.look(source)
            name = f"{IMAGES}/{wanted.stem}{extension(old.format)}"
            file = evolve(old, name=name, revised=self._payloads.words(wanted.ref))
            if source == file.name:
                return Shown(file, source)
            self._double(self._folder / source, temporary)
        self._elsewhere.pop(file.name, None)
        self._disk.rename(temporary, self._folder / file.name)
        self._disk.unlink(temporary)  # renaming one link of a file onto another of its links leaves both
        return Shown(file, source)

    def _now(self, path: Path) -> str:
        """What a durable file is called now."""
        name = path.relative_to(self._folder).as_posix()
        while name in self._elsewhere:
            name = self._elsewhere[name]
        return name

    def _move(self, move: tuple[str, str]) -> None:
        old, new = move
        if self.alike(old, new):
            return  # a crash came between this and the commit
        temporary = self._temporary(PurePosixPath(new).parent.name)
        self._double(self._folder / old, temporary)
        self._disk.rename(temporary, self._folder / new)

    def _double(self, old: Path, new: Path) -> None:
        if self._links:
            self._links = double(self._disk, old, new)  # FAT, some network shares: links will not come back
        else:
            self._disk.copy(old, new)

    def _temporary(self, folder: str) -> Path:
        return self._folder / folder / f"{TEMPORARY}j{self._payloads.number()}"


def held_stem(run: int, attempt: AttemptId, place: int, key: Key) -> str:
    """The name of a paid picture before it is shown."""
    return f"{run}-{attempt}-{place}-{key_digest(key)}"


def key_digest(key: Key) -> str:
    """Twelve hex digits for a key of any characters."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
