"""Where the pictures of one request go: names settled before anything is paid, and nothing that is paid thrown away."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from attrs import frozen

from penstock_io.cli.config import OptionError
from penstock_io.previews import Preview

EXTENSIONS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "gif": ".gif", "svg": ".svg"}
FORMATS = {extension: name for name, extension in EXTENSIONS.items()} | {".jpeg": "jpeg"}
"""Formats by extension; `EXTENSIONS` has the usual one of each."""

OTHERS = frozenset({".avif", ".bmp", ".heic", ".ico", ".jp2", ".jxl", ".pdf", ".psd", ".tga", ".tif", ".tiff"})
"""Extensions of formats that no provider makes: a picture under such a name would be another than it says."""

STDOUT = Path("-")
LONGEST = 48
"""Characters of a name that is made from a prompt."""


@frozen
class Saved:
    """Pictures that were saved, in their order, and what has to be said of it."""

    paths: tuple[Path, ...]
    warnings: tuple[str, ...] = ()


@frozen
class Files:
    """Names of `n` pictures. `stem` has no extension where `extension` is "": then each gets that of what it is."""

    stem: Path
    extension: str
    n: int
    overwrite: bool

    @property
    def streamed(self) -> bool:
        """Whether the picture goes to standard output."""
        return self.stem == STDOUT

    @property
    def format(self) -> str | None:
        """The format that the name says."""
        return FORMATS.get(self.extension.lower())

    def targets(self, formats: Sequence[str]) -> list[Path]:
        """Where pictures of these formats go."""
        numbers = [""] if self.n == 1 else [f"-{k}" for k in range(1, self.n + 1)]
        return [
            self.stem.with_name(f"{self.stem.name}{number}{self.extension or EXTENSIONS.get(format_, '.bin')}")
            for number, format_ in zip(numbers, formats, strict=False)
        ]

    def preview(self, index: int, number: int, format_: str) -> Path:
        """Where preview `number` of picture `index` goes (both from 0): beside the picture, as what it is."""
        place = "" if self.n == 1 else f"-{index + 1}"
        name = f"{self.stem.name}{place}-preview-{number + 1}{EXTENSIONS.get(format_, '.bin')}"
        return self.stem.with_name(name)


def plan(
    out: Path | None,
    prompt: str,
    *,
    n: int,
    output_format: str | None,
    overwrite: bool,
    origin: str = "--output-format",
) -> Files:
    """The names, checked: pictures of `output_format` could be saved now. Raises `OptionError`.

    `origin` is how messages call who says the format ("": the flag).
    """
    if out == STDOUT:
        if n != 1:
            raise OptionError(f"--out -: standard output takes one picture, not {n}: leave --n out, or name a file")
        return Files(STDOUT, "", n, overwrite)
    if out is None or out.is_dir():
        out = (Path() if out is None else out) / named_after(prompt)
    elif out.suffix.lower() in OTHERS:
        raise OptionError(f"--out {out}: no provider makes {out.suffix.lower()}: name it .png, .jpg, .webp or .gif")
    extension = out.suffix if out.suffix.lower() in FORMATS else ""
    stem = out.with_name(out.name[: len(out.name) - len(extension)]) if extension else out
    files = Files(stem, extension, n, overwrite)
    if output_format is not None and files.format not in (None, output_format):
        raise OptionError(
            f"{origin or '--output-format'} {output_format}: {out} is the name of a {files.format}: leave one out"
        )
    if not stem.parent.is_dir():
        raise OptionError(f"{out}: there is no folder {stem.parent}: make it first")
    if not os.access(stem.parent, os.W_OK | os.X_OK):
        raise OptionError(f"{out}: the folder {stem.parent} is read-only for this user: name a file elsewhere")
    wanted = files.targets([output_format or files.format or "png"] * n)
    there = [path for path in wanted if path.exists() or path.is_symlink()]
    if there and not (overwrite and all(path.is_file() for path in there)):
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        told = "is no file that could be replaced" if overwrite else "is there already"
        raise OptionError(f"{there[0]}{more} {told}: take another name{'' if overwrite else ', or --overwrite'}")
    return files


def named_after(prompt: str) -> str:
    """A short name of ASCII letters for what a prompt asks for."""
    name = ""
    for word in re.findall(r"[a-z0-9]+", prompt.lower()):
        if len(name) + len(word) >= LONGEST:
            break
        name = f"{name}-{word}" if name else word
    return name or "picture"


def save(files: Files, pictures: Sequence[tuple[str, bytes]]) -> Saved:
    """Save pictures (format, bytes). What is in the way by now, or cannot be written, has them go elsewhere.

    Raises `OSError` where they cannot be written anywhere.
    """
    if files.streamed:
        return Saved(())
    paths: list[Path] = []
    warnings: list[str] = []
    for path, (format_, data) in zip(files.targets([one for one, _ in pictures]), pictures, strict=False):
        try:
            saved = _write(path, data, overwrite=files.overwrite)
        except OSError as fault:
            saved = _write(Path(mkdtemp(prefix="penstock-")) / path.name, data, overwrite=False)
            warnings.append(f"{path} cannot be written ({fault.strerror or fault}): the picture is {saved}")
        else:
            if saved != path:
                warnings.append(f"{path} has come into being meanwhile: the picture is {saved}")
        if files.extension and format_ and format_ != files.format:
            warnings.append(f"{saved} is a {format_}, whatever its name says: the provider sent that")
        paths.append(saved)
    return Saved(tuple(paths), tuple(warnings))


def save_preview(files: Files, preview: Preview) -> Path | None:
    """Save a preview; returns its name, None where it cannot be written: one preview less."""
    try:
        path = files.preview(preview.index, preview.partial_index, preview.format)
        return _write(path, preview.data, overwrite=files.overwrite)
    except OSError:
        return None


def _write(path: Path, data: bytes, *, overwrite: bool) -> Path:
    """Write a file whole or not at all; returns its name, which is another where one is not to be replaced."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        if overwrite:
            part.replace(path)
            return path
        target, number = path, 1
        while True:
            try:
                target.open("xb").close()  # the name is ours before the picture takes its place
            except FileExistsError:
                target = path.with_name(f"{path.stem}~{number}{path.suffix}")
                number += 1
            else:
                part.replace(target)
                return target
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
