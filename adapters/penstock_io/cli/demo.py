"""`penstock demo`: 24 pictures from a simulated provider on loopback, through the same code as `penstock batch`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_io.cli.parsing import Parser, Subparsers, refuse

if TYPE_CHECKING:
    from penstock.simulation.server import ServerSettings
    from penstock_io.batch.plan import Plan
    from penstock_io.batch.settings import Settings
    from penstock_io.cli.console import Console
    from penstock_io.journal import Journal
    from penstock_io.simserver import SimServer

FOLDER = Path("penstock-demo")
MODEL, QUALITY, SIZE = "gpt-image-2", "low", "1024x1024"
KEYS = {"DEMO_KEY_1": "demo-key-1", "DEMO_KEY_2": "demo-key-2"}

FAULTS = ("", "500", "reset", "503", "500")
"""What goes wrong with the first calls: three refusals, and one picture that is made and billed but never arrives.

They are as many as any key's limit lets through at once: a call that a limit refuses would take its fault along.
"""

PROMPTS = (
    "A lighthouse at dusk, its beam sweeping over slate-grey waves, gouache",
    "A cutaway drawing of a penstock feeding a water turbine, fine ink lines on cream paper",
    "A red enamel kettle on a white table, soft window light from the left, product photograph",
    "A night train crossing a stone viaduct under the Milky Way, long exposure",
    "An old botanist's desk: pressed ferns, brass loupe, ink bottle, seen from above",
    "A paper-cut fox in a birch wood, layered card, gentle shadows",
    "Isometric view of a tiny bakery at dawn, bread on the sill, warm light inside",
    "A whale shark beneath a small wooden boat, seen from below, shafts of sunlight",
    "Macro photograph of frost ferns on a blue windowpane",
    "A linocut poster of a mountain reservoir, three colours, no lettering",
    "A clockmaker's workshop in heavy rain, lamplight, reflections on the cobbles outside",
    "A bowl of lemons in the manner of a Dutch still life, dark background",
    "A weather balloon rising over salt flats, wide angle, very small figure below",
    "A children's book illustration of a hedgehog delivering letters in the snow",
    "A terraced tea garden in morning mist, ink wash, mostly empty paper",
    "An astronaut repairing a greenhouse on the Moon, tomatoes in the foreground",
    "A vintage seed packet for sunflowers, worn edges, no text",
    "A cello leaning against a garden wall overgrown with ivy, late summer",
    "A harbour crane lifting a crescent moon, screen print, two inks",
    "Close-up of a hummingbird drinking, iridescent throat, blurred garden behind",
    "A library inside a hollow oak, spiral stairs, lanterns, watercolour",
    "Aerial view of braided river channels in autumn colours",
    "A glass marble on wet sand holding the whole upside-down sunset",
    "A low-poly polar bear reading a map on an ice floe, pastel colours",
)


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `demo` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "demo",
        help="buy 24 pictures from a simulated provider, offline",
        description="Start a simulated provider on loopback and buy 24 pictures from it with two keys, through limits "
        "that are not told beforehand, server errors, and a connection that breaks after its picture was billed.",
    )
    parser.add_argument(
        "--out", type=Path, default=FOLDER, metavar="DIR", help=f"where the pictures go (default: {FOLDER})"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo; returns the exit code of its batch."""
    from penstock.errors import PenstockError  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock_io.cli.console import Console  # noqa: PLC0415 - as above

    with Console() as console:
        try:
            return _demo(args.out, console)
        except PenstockError as error:
            return refuse(error, console, as_json=False)


def _demo(folder: Path, console: Console) -> int:
    """The demo in a folder. Raises `PenstockError` where it cannot begin."""
    from decimal import Decimal  # noqa: PLC0415 - as above

    from penstock.config import Limits  # noqa: PLC0415 - as above
    from penstock_io.batch.run import run_batch  # noqa: PLC0415 - as above
    from penstock_io.batch.settings import Settings  # noqa: PLC0415 - as above
    from penstock_io.cli.batching import finish  # noqa: PLC0415 - as above
    from penstock_io.cli.folders import holding  # noqa: PLC0415 - as above
    from penstock_io.simserver import serving  # noqa: PLC0415 - as above

    with holding(folder, console) as journal, serving(_provider(), seed=7) as sim:
        settings = Settings(folder, sim.base_url, KEYS, limits=Limits(concurrency=8), budget=Decimal(1))
        plan = _plan(settings, journal, console)
        sim.call(lambda server: server.inject(*FAULTS))
        if plan.send:
            console.tell(f"A simulated provider at {sim.base_url} gets {len(plan.send)} rows, with {len(KEYS)} keys:")
        ended = run_batch(settings, plan, (), journal, console)
        code = finish(ended, folder, console, as_json=False)
        _report(sim, folder)
    return code


def _plan(settings: Settings, journal: Journal, console: Console) -> Plan:
    """What is to be done, once the prompts are written. Raises `InputError`, `JournalError`."""
    from penstock_io.batch.inputs import read_rows  # noqa: PLC0415 - as above
    from penstock_io.batch.keying import key_rows  # noqa: PLC0415 - as above
    from penstock_io.batch.plan import make_plan  # noqa: PLC0415 - as above
    from penstock_io.batch.rows import Defaults  # noqa: PLC0415 - as above
    from penstock_io.batch.survey import survey, told  # noqa: PLC0415 - as above
    from penstock_io.cli.folders import books_of  # noqa: PLC0415 - as above
    from penstock_io.journal import JournalError  # noqa: PLC0415 - as above

    prompts = settings.folder / "prompts.txt"
    try:
        prompts.write_text("".join(f"{prompt}\n" for prompt in PROMPTS), encoding="utf-8")
    except OSError as fault:
        raise JournalError(f"{prompts} cannot be written: {fault.strerror or fault}") from fault
    rows = read_rows(prompts, Defaults(MODEL, SIZE, QUALITY))
    books, choices = books_of(journal), settings.choices
    keyed, _ = key_rows(rows, choices, budget=True, states=books.states, account=books.account)
    plan = make_plan(keyed, books.states, books.account, choices)
    for line in told(survey(plan, books.account, settings, free=None), settings):
        console.tell(line)
    return plan


def _provider() -> ServerSettings:
    """Limits a key that 12 pictures run into: 5 images at once, then 1.5 a second, and 6 requests at a time.

    Only its refusals tell of them, so that one sees how they are found out, and waited for.
    """
    from penstock.simulation.server import Latency, ServerLimits, ServerSettings  # noqa: PLC0415 - as above

    limits = ServerLimits(ipm=90, concurrency=6, burst=5 / 90)
    return ServerSettings(limits=limits, latency=Latency(0.6, 0.3), headers=False)


def _report(sim: SimServer, folder: Path) -> None:
    """What the provider saw, and where things are."""
    from penstock_io.words import count, money  # noqa: PLC0415 - as above

    stats = sim.stats()
    refused = ", ".join(f"{number} for {name}" for name, number in sorted(stats["rejected"].items())) or "none"
    faults = ", ".join(f"{number} x {name}" for name, number in sorted(stats["faults"].items())) or "none"
    print(
        f"The provider received {count(stats['received'], 'request')} and made {count(stats['executed'], 'picture')}."
    )
    print(f"  refusals: {refused}; faults: {faults}")
    print(f"  its bill: {money(stats['billed'])}; the batch has charged plus maybe billed of at least that")
    print(f"  pictures: {folder / 'images'}; rows: {folder / 'results.jsonl'}; sums: {folder / 'summary.json'}")
    print(f"Look at them: open {(folder / 'index.html').resolve().as_uri()} in a browser", flush=True)
