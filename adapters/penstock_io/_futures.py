"""Futures between the threads of callers and the thread that owns an engine."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import TypeVar

from penstock.errors import UsageError

T = TypeVar("T")


class Gone(UsageError):
    """The owner of a client left, and what was asked of it then was never heard."""


def settle(waiter: Future[T], result: T | BaseException) -> None:
    """Tell whoever waits; a waiter who cancelled is left alone, because telling him would raise here."""
    if not waiter.set_running_or_notify_cancel():
        return
    if isinstance(result, BaseException):
        waiter.set_exception(result)
    else:
        waiter.set_result(result)


def answer(waiter: Future[T], question: Callable[[], T]) -> None:
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


def wait(waiter: Future[T], owner: Thread) -> T:
    """Wait for an answer of `owner`. Raises `Gone` where it left without one."""
    while owner.is_alive():  # what was asked while it was leaving may never be heard
        if waiter.done():
            break  # a TimeoutError may be the answer itself
        with suppress(TimeoutError):
            waiter.exception(timeout=1.0)
    if waiter.done():
        return waiter.result()
    raise Gone("the client was left")
