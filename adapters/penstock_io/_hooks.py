"""The threads on which a client's hooks are asked: they may take long, and nothing else waits for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from penstock.commands import Consult
from penstock.events import Consulted
from penstock.readings import Fault

AT_A_TIME = 8
"""How many hooks run at a time."""

Heard = Callable[[Consulted], object]
"""Hears an answer, on any thread."""


class Asking:
    """Asks hooks; the threads are there from the first question on."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def ask(self, command: Consult, consult: Callable[[Consult], Consulted], heard: Heard) -> None:
        """Have `consult` answer on a thread; `heard` is told once, also of what is given up."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="penstock-hook")
        self._pool.submit(consult, command).add_done_callback(partial(_answered, command, heard))

    def close(self) -> None:
        """Begin no more; what runs is left alone."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _answered(command: Consult, heard: Heard, future: Future[Consulted]) -> None:
    failed = future.cancelled() or future.exception() is not None
    heard(Consulted(command.question, Fault("given up")) if failed else future.result())
