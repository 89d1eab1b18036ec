"""Answers between the threads of callers and the thread that owns an engine.

A waiter is a queue that takes one answer. Not a future: an interrupt in the moment in which one takes its lock leaves
it locked for ever, and whoever would tell it waits with it. A queue has no lock that an interrupt could leave behind.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from penstock.errors import UsageError

T = TypeVar("T")


class Gone(UsageError):
    """The owner of a client left, and what was asked of it then was never heard."""


def settle(waiter: SimpleQueue[T | BaseException], result: T | BaseException) -> None:
    """Tell whoever waits, once."""
    waiter.put(result)


def answer(waiter: SimpleQueue[T | BaseException], question: Callable[[], T]) -> None:
    """Tell whoever waits what a question comes to; what it raises is raised here, too, but for his own misuse."""
    try:
        found = question()
    except UsageError as error:
        settle(waiter, error)
        return
    except BaseException as error:
        settle(waiter, error)
        raise
    settle(waiter, found)


def wait(waiter: SimpleQueue[T | BaseException], owner: Thread) -> T:
    """Wait for an answer of `owner`. Raises what it answers with, and `Gone` where it left without one."""
    while True:
        here = owner.is_alive()  # what was asked while it was leaving may never be heard
        try:
            found = waiter.get(timeout=1.0 if here else 0.0)
        except Empty:
            if here:
                continue
            raise Gone("the client was left") from None
        if isinstance(found, BaseException):
            raise found
        return found
