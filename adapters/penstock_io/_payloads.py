"""Where a driver keeps what never enters the engine: pictures, signed URLs, texts, vectors, each behind a `Ref`.

A reference says where its bytes are: `m:<n>` in memory, `f:<path>` in a file below the root folder, `u:<n>` behind a
URL, `v:<n>` a vector. Memory references share the bytes object they were made of, so handing out a stored picture a
second time costs a name, not a copy.
"""

from __future__ import annotations

from errno import ENOENT
from itertools import count
from pathlib import Path, PurePosixPath

from penstock.errors import UsageError
from penstock.ids import Ref

TEMPORARY = ".tmp-"
"""How the names of files begin that are not yet durable: they may be deleted by whoever releases them."""


class Payloads:
    """References and what is behind them. `root` is the folder of `f:` references (None: there are none).

    Safe to use from the loop and from a worker thread. What is gone, in memory as on disk, raises `OSError`.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root
        self._count = count(1)
        self._bytes: dict[Ref, bytes] = {}
        self._urls: dict[Ref, str] = {}
        self._vectors: dict[Ref, tuple[float, ...]] = {}
        self._notes: dict[Ref, str] = {}

    def __repr__(self) -> str:
        kept = sum(map(len, list(self._bytes.values())))
        return f"<Payloads {len(self._bytes)} in memory ({kept} bytes), {len(self._urls)} URLs>"

    def number(self) -> int:
        """A number that was not used before."""
        return next(self._count)

    def keep(self, data: bytes) -> Ref:
        """Keep bytes in memory, without a copy."""
        ref = Ref(f"m:{self.number()}")
        self._bytes[ref] = data
        return ref

    def keep_file(self, path: Path) -> Ref:
        """Name a file below the root folder."""
        if self.root is None:
            raise UsageError("these payloads have no folder")
        return Ref(f"f:{path.relative_to(self.root).as_posix()}")

    def keep_url(self, url: str) -> Ref:
        """Keep a signed URL: a secret that is never shown."""
        ref = Ref(f"u:{self.number()}")
        self._urls[ref] = url
        return ref

    def keep_vector(self, vector: tuple[float, ...]) -> Ref:
        """Keep an embedding."""
        ref = Ref(f"v:{self.number()}")
        self._vectors[ref] = vector
        return ref

    def read(self, ref: Ref) -> bytes:
        """The bytes behind an `m:` or `f:` reference."""
        path = self.path(ref)
        if path is not None:
            return path.read_bytes()
        try:
            return self._bytes[ref]
        except KeyError:
            raise FileNotFoundError(ENOENT, "no bytes behind the reference", ref) from None

    def path(self, ref: Ref) -> Path | None:
        """The file behind an `f:` reference, None for all others."""
        if not ref.startswith("f:"):
            return None
        inside = PurePosixPath(ref[2:])
        if self.root is None or inside.is_absolute() or ".." in inside.parts:
            raise UsageError(f"{ref!r} is not below the payloads' folder")
        return self.root / inside

    def url(self, ref: Ref) -> str:
        """The URL behind a `u:` reference."""
        try:
            return self._urls[ref]
        except KeyError:
            raise FileNotFoundError(ENOENT, "no URL behind the reference", ref) from None

    def vector(self, ref: Ref) -> tuple[float, ...]:
        """The numbers behind a `v:` reference."""
        try:
            return self._vectors[ref]
        except KeyError:
            raise FileNotFoundError(ENOENT, "no vector behind the reference", ref) from None

    def annotate(self, ref: Ref, text: str) -> None:
        """Keep a text beside a reference (the prompt as the provider revised it)."""
        self._notes[ref] = text

    def note(self, ref: Ref) -> str | None:
        """The text beside a reference; None: there is none."""
        return self._notes.get(ref) or None

    def words(self, ref: Ref) -> str:
        """The same text for a database: "" for none, and nothing that is no Unicode."""
        return (self._notes.get(ref) or "").encode("utf-8", "replace").decode("utf-8")

    def share(self, old: Ref, new: Ref) -> None:
        """What stands behind `old` stands behind `new`, too: the text is beside both."""
        text = self._notes.get(old)
        if text is not None:
            self._notes[new] = text

    def replace(self, old: Ref, new: Ref) -> None:
        """Something now stands behind `new`: the text moves along and `old` is forgotten."""
        if old == new:
            return
        text = self._notes.pop(old, None)
        if text is not None:
            self._notes[new] = text
        self.release((old,))

    def release(self, refs: tuple[Ref, ...]) -> None:
        """Forget references, known or not; a temporary file is deleted, a durable one stays."""
        for ref in refs:
            self._bytes.pop(ref, None)
            self._urls.pop(ref, None)
            self._vectors.pop(ref, None)
            self._notes.pop(ref, None)
            path = self.path(ref) if self.root is not None else None
            if path is not None and path.name.startswith(TEMPORARY):
                _unlink(path)


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # a temporary file that cannot be deleted is swept away when its folder is opened next
