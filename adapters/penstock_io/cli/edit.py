"""`penstock edit`: one request from other pictures, to a file or a few; all else is as with `penstock generate`."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_io.cli.generate import EPILOG, buy
from penstock_io.cli.options import EDIT, FIDELITY, FILE_ID, MASK, MASK_ID
from penstock_io.cli.parsing import Formatter, Parser, Subparsers, add_options, run_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.requests import ImageRequest
    from penstock_io.cli.config import Values

USAGE = 'penstock edit "make the sky red" photo.png -o red.png'


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `edit` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "edit",
        usage='penstock edit "PROMPT" IMAGE... [--file-id ID] [-o FILE] [options]',
        description="Make one picture of others, as a prompt says, or a few (--n 4).",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="what is to change; -: read from standard input")
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", help="PNG, JPEG or WebP files, or addresses (https://...)"
    )
    parser.many = "images"
    add_options(parser, EDIT)
    parser.set_defaults(run=partial(run, parser))


def run(parser: Parser, args: argparse.Namespace) -> int:
    """Make the pictures; returns the exit code."""
    prompt: str | None = args.prompt
    images: list[str] = args.images
    if prompt is None or not (images or FILE_ID.key in args):
        missing = "PROMPT" if prompt is None else "IMAGE"
        parser.error(f"{missing} is missing: {USAGE}")
    if _there(prompt) and not (images and _there(images[0])):
        parser.error(f"{prompt!r} is a file: the prompt comes first: {USAGE}")
    return run_with(
        parser, args, EDIT, lambda values, console: buy(values, prompt, console, partial(_made_from, values, images))
    )


def _there(text: str) -> bool:
    """Whether a text names a file; what is too long for a name does not."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _made_from(values: Values, names: Sequence[str], request: ImageRequest) -> ImageRequest:
    """The request with its images. Raises `InvalidRequest`."""
    from attrs import evolve  # noqa: PLC0415 - the start is fast until it is known what runs

    from penstock.requests import InputImage  # noqa: PLC0415 - as above
    from penstock_io.inputs import read_image, read_images  # noqa: PLC0415 - as above

    uploaded, mask, there = values.get(FILE_ID) or (), values.get(MASK), values.get(MASK_ID)
    if mask is not None and there is not None:
        raise values.wrong(MASK_ID, f"there is a mask already ({values.origin(MASK)}): give one of them")
    covered = None if mask is None else read_image(mask, "mask")
    return evolve(
        request,
        images=read_images([*names, *map(InputImage.file, uploaded)]),
        mask=covered if there is None else InputImage.file(there),
        input_fidelity=values.get(FIDELITY),
    )
