"""`penstock sim`: a simulated provider on loopback, until it is interrupted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import signal
import sys
from collections.abc import Callable

from penstock.admission.headers import QUANTITIES
from penstock.simulation.server import FAULTS, Latency, ServerLimits, ServerSettings, Wall, parse_faults
from penstock_io.cli.parsing import Parser, Subparsers
from penstock_io.simserver import SimServer

EXIT_OK, EXIT_USAGE = 0, 2
LAST_PORT = 65_535


def add_parser(
    subparsers: Subparsers[Parser],
) -> None:
    """Add `sim` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "sim",
        help="serve a simulated provider on loopback",
        description=(
            "Serve a simulated image provider on 127.0.0.1. The first line printed is the base URL; GET /stats at the "
            "root says what was executed and billed. Any bearer token is a new credential. Without limit options there "
            "are no limits."
        ),
    )
    add = parser.add_argument
    add("--port", type=_port, default=0, metavar="N", help="port to listen on (default: a free one)")
    add("--rpm", type=float, metavar="N", help="requests a minute, for each credential")
    add("--tpm", type=float, metavar="N", help="tokens a minute, for each credential")
    add("--ipm", type=float, metavar="N", help="images a minute, for each credential")
    add("--rpd", type=float, metavar="N", help="requests a day, for each credential")
    add("--tpd", type=float, metavar="N", help="tokens a day, for each credential")
    add("--ipd", type=float, metavar="N", help="images a day, for each credential")
    add("--max-concurrency", type=int, metavar="N", help="requests at a time, for each credential")
    add("--burst", type=float, default=1.0, metavar="MINUTES", help="minutes' worth taken at once (default: 1)")
    add("--latency", type=float, default=0.3, metavar="SECONDS", help="median seconds a picture (default: 0.3)")
    add(
        "--sigma", type=float, default=0.25, metavar="S", help="spread of the latency, of its logarithm (default: 0.25)"
    )
    add(
        "--faults", type=_faults, default=(), metavar="NAME=P,...", help=f"probabilities a call of: {', '.join(FAULTS)}"
    )
    add(
        "--wall",
        type=_wall,
        action="append",
        default=[],
        metavar="QUANTITY=N/SECONDS",
        help="a limit that nothing tells of, as requests=5/1: five at once, refilled within a second; may be repeated",
    )
    _add_silence(add)
    add("--seed", type=int, default=0, metavar="N", help="seed of latencies and faults (default: 0)")
    add("--time-scale", type=float, default=1.0, metavar="X", help="its seconds in one of yours (default: 1)")
    parser.set_defaults(run=run)


def _add_silence(add: Callable[..., object]) -> None:
    """What it charges for refusals, and what it keeps quiet about."""
    add("--charged-refusals", action="store_true", help="a refusal takes quota, too")
    add("--late-refusals", type=float, default=0.0, metavar="SECONDS", help="refusals come up to so much later")
    add("--no-rate-headers", action="store_true", help="send no x-ratelimit headers")
    add(
        "--rate-headers",
        type=_quantities,
        default=QUANTITIES,
        metavar="QUANTITY,...",
        help=f"which limits x-ratelimit headers tell of: {', '.join(QUANTITIES)} (default: all)",
    )
    add("--day-headers", action="store_true", help="x-ratelimit headers tell of the limit a day where there is one")
    add("--no-hints", action="store_true", help="refusals do not say how long to wait")
    add("--no-limit-names", action="store_true", help="refusals do not say which limit they are about")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code (2: an option or the port is no good)."""
    try:
        sim = SimServer(_settings(args), args.port, seed=args.seed, time_scale=args.time_scale)
        asyncio.run(_serve(sim))
    except (ValueError, OverflowError, OSError) as error:
        print(f"penstock: error: {_why(error, args.port)}", file=sys.stderr)
        return EXIT_USAGE
    return EXIT_OK


def _why(error: ValueError | OverflowError | OSError, port: int) -> str:
    if isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES}:
        taken = "is in use" if error.errno == errno.EADDRINUSE else "may not be used by this user"
        return f"--port {port} {taken}: name another one, or leave it out (a free one is taken)"
    return str(error)


def _settings(args: argparse.Namespace) -> ServerSettings:
    return ServerSettings(
        limits=ServerLimits(
            args.rpm,
            args.tpm,
            args.ipm,
            args.max_concurrency,
            args.burst,
            rpd=args.rpd,
            tpd=args.tpd,
            ipd=args.ipd,
            walls=tuple(args.wall),
        ),
        latency=Latency(args.latency, args.sigma),
        faults=args.faults,
        charged_refusals=args.charged_refusals,
        refusal_spread=args.late_refusals,
        headers=not args.no_rate_headers,
        told=args.rate_headers,
        day_headers=args.day_headers,
        hints=not args.no_hints,
        names=not args.no_limit_names,
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a port: 0 (a free one) to {LAST_PORT}")
    return int(text)


def _quantities(text: str) -> tuple[str, ...]:
    told = tuple(word.strip() for word in text.split(","))
    wrong = next((word for word in told if word not in QUANTITIES), None)
    if wrong is not None:
        raise argparse.ArgumentTypeError(f"{wrong[:40]!r} is none of {', '.join(QUANTITIES)}")
    return told


def _wall(text: str) -> Wall:
    quantity, _, rest = text.partition("=")
    amount, _, seconds = rest.partition("/")
    try:
        figures = float(amount), float(seconds)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not QUANTITY=N/SECONDS, as requests=5/1") from None
    try:
        return Wall(quantity.strip(), *figures)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _faults(text: str) -> tuple[tuple[str, float], ...]:
    try:
        return parse_faults(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


async def _serve(sim: SimServer) -> None:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # no signal handlers in the loops of Windows: Ctrl-C raises
            loop.add_signal_handler(number, ending.set)
    await sim.start()
    try:
        print(sim.base_url, flush=True)
        await ending.wait()
    finally:
        await sim.stop()
