"""A provider that exists only as a value: it decides like the real one and keeps the truth.

Two doors lead to one decision. `Server.admit` takes figures, for a million jobs in virtual time; `Server.reply` takes
an HTTP call, asks `admit`, and answers with bytes. Which calls pass, how long they take, what goes wrong and what is
billed is decided when a call arrives: what the client does afterwards changes nothing, so a picture whose client left
is executed and billed all the same.

No clock and no randomness of its own: `now` is absolute monotonic seconds, the `Random` is handed in.
"""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from heapq import heappop, heappush
from math import exp, inf
from typing import TYPE_CHECKING

from attrs import evolve

from penstock.http import CALL_HEADER, HttpCall
from penstock.readings import Problem
from penstock.simulation._account import Account
from penstock.simulation._books import Books, Line, Request
from penstock.simulation._bucket import ORGANIZATION
from penstock.simulation._settings import FAULTS, Fault, Latency, ServerLimits, ServerSettings, Wall, parse_faults
from penstock.simulation._verdicts import (
    ADMITTED,
    MODERATED,
    NO_CREDIT,
    NO_KEY,
    PLAIN,
    PROBLEMS,
    WRONG_KEY,
    Admission,
    Asked,
    CredentialStats,
    Planned,
    Stats,
)
from penstock.work import Demand

if TYPE_CHECKING:
    from random import Random

    from penstock.simulation._bucket import Headers

__all__ = [
    "CALL_HEADER",
    "FAULTS",
    "Admission",
    "Asked",
    "Books",
    "CredentialStats",
    "Fault",
    "Latency",
    "Line",
    "Planned",
    "Request",
    "Server",
    "ServerLimits",
    "ServerSettings",
    "Stats",
    "Wall",
    "parse_faults",
]

HALF = 0.5
"""A fair coin."""


class Server:
    """A simulated provider with OpenAI's limits, headers, errors and habits.

    Any credential that it has not seen is a new one; an empty one is refused. Time that runs backwards is clamped.

    >>> from random import Random
    >>> server = Server(ServerSettings(limits=ServerLimits(ipm=5)), rng=Random(1))
    >>> [server.admit("key", Demand(images=1), 0.0, identity=str(i), call=str(i)).status for i in range(6)]
    [200, 200, 200, 200, 200, 429]
    """

    def __init__(self, settings: ServerSettings | None = None, *, rng: Random) -> None:
        self.settings = settings or ServerSettings()
        self.books = Books()
        self._rng = rng
        self._accounts: dict[str, Account] = {}
        self._now = -inf
        self._ends: list[tuple[float, int, Account]] = []
        self._begun = 0
        self._script: deque[str] = deque()
        self._faults = _cumulative(self.settings.faults)
        latency = self.settings.latency
        self._median, self._sigma, self._medians = latency.median, latency.sigma, dict(latency.medians)

    def admit(
        self,
        credential: str,
        demand: Demand,
        now: float,
        *,
        identity: str,
        call: str,
        cost: int = 0,
        asked: Asked = PLAIN,
    ) -> Admission:
        """Decide about one call in figures.

        `identity` names the request and `call` the call in the books, `cost` is what it bills when executed
        (picodollars), `asked` what else of the request matters.
        """
        now = self._now = now if now > self._now else self._now
        if self._ends and self._ends[0][0] <= now:
            self._retire(now)
        line = self.books.line(identity, call)
        fault = self._fault() if self._faults or self._script else ""
        if fault and FAULTS[fault].streams and not asked.streams:
            fault = ""
        if fault and not FAULTS[fault].admitted:
            return self._outside(fault)
        account = self._accounts.get(credential)
        if account is None or account.revoked or account.credit is not None:
            denied = self._denied(line, credential)
            if denied is not None:
                return denied
            account = self._account(credential, now)
        refused = account.take(demand, now, charged=self.settings.charged_refusals) if account.limited else None
        headers = account.headers() if account.telling and self.settings.headers else ()
        if refused is not None:
            hints = self.settings.hints
            model, named = asked.model or "the model", self.settings.names
            problem = refused.problem(model, hint=hints, named=named, owner=account.owner)
            told = headers + refused.headers() if hints else headers
            late = self._rng.random() * self.settings.refusal_spread if self.settings.refusal_spread else 0.0
            return self._refuse(line, refused.quantity, 429, told, problem, account.levels(), late)
        if asked.flagged or fault == "moderation":
            self._happened(fault if fault == "moderation" else "")
            return self._refuse(line, "moderation", 400, headers, MODERATED, account.levels())
        return self._execute(line, account, demand, cost, asked.quality, fault, headers)

    def reply(self, call: HttpCall, now: float) -> Planned:
        """Decide about one HTTP call, and make the bytes of its answer.

        The credential is the bearer token, the identity the SHA-256 of the body, the call id the `x-penstock-call`
        header.
        """
        from penstock.simulation._door import answer  # noqa: PLC0415 a run in virtual time needs no bytes

        return answer(self, call, now)

    def set_limits(self, credential: str, limits: ServerLimits, now: float) -> None:
        """Put other limits into force for one credential; what is executing goes on."""
        self._account(credential, self._advance(now)).relimit(limits, self._now)

    def set_credit(self, credential: str, credit: int | None, now: float = -inf) -> None:
        """Give a credential so many picodollars to spend; when they are gone it is told `insufficient_quota`."""
        self._account(credential, self._advance(now)).credit = credit

    def set_faults(self, faults: tuple[tuple[str, float], ...]) -> None:
        """Change the probabilities of the faults from now on. Raises ValueError."""
        self.settings = evolve(self.settings, faults=faults)
        self._faults = _cumulative(faults)

    def revoke(self, credential: str, now: float = -inf) -> None:
        """Refuse a credential from now on (401); what is executing goes on."""
        self._account(credential, self._advance(now)).revoked = True

    def inject(self, *faults: str) -> None:
        """Say what happens to the next calls, in order of arrival: names of faults, "" for none."""
        for name in faults:
            if name and name not in FAULTS:
                raise ValueError(f"unknown fault {name!r}; there are {', '.join(FAULTS)}")
        self._script.extend(faults)

    def levels(self, credential: str, now: float) -> tuple[float, ...]:
        """What is left to a credential by quantity, those that have a limit, in the order requests, tokens, images."""
        account = self._account(credential, self._advance(now))
        account.refill(self._now)
        return account.levels()

    def settle(self, now: float) -> None:
        """Let everything end that has ended by `now`, so that `books.in_flight` is of that moment."""
        self._retire(self._advance(now))

    def reject(
        self, credential: str, now: float, *, identity: str, call: str, status: int, problem: Problem
    ) -> Admission:
        """Refuse a request that cannot be done as it stands: it still takes one request of the quota."""
        now = self._advance(now)
        line = self.books.line(identity, call)
        denied = self._denied(line, credential)
        if denied is not None:
            return denied
        account = self._account(credential, now)
        account.take(Demand(), now, charged=self.settings.charged_refusals)
        headers = account.headers() if self.settings.headers else ()
        return self._refuse(line, "invalid", status, headers, problem, account.levels())

    def stats(self, now: float | None = None) -> Stats:
        """The whole truth as JSON. Credentials are shown by fingerprint (12 hex digits of the SHA-256)."""
        if now is not None:
            self.settle(now)
        books = self.books
        return Stats(
            received=books.received,
            executed=books.executed,
            pictures=books.pictures,
            billed=books.billed,
            rejected=dict(books.rejected),
            faults=dict(books.faults),
            in_flight=books.in_flight,
            peak=books.peak,
            credentials={
                sha256(name.encode()).hexdigest()[:12]: CredentialStats(
                    executed=account.executed, billed=account.billed, in_flight=account.in_flight, peak=account.peak
                )
                for name, account in self._accounts.items()
            },
            repeated=books.repeated(),
            requests=books.requests(),
        )

    def _advance(self, now: float) -> float:
        self._now = max(now, self._now)
        return self._now

    def _account(self, credential: str, now: float) -> Account:
        account = self._accounts.get(credential)
        if account is None:
            owner = dict(self.settings.owners).get(credential, "")
            shared = [one for one in self._accounts.values() if owner and one.owner == owner]
            owner = owner or (f"{ORGANIZATION}-{len(self._accounts) + 1}" if self._accounts else ORGANIZATION)
            account = shared[0] if shared else Account.opened(self.settings, now, owner)
            self._accounts[credential] = account
        return account

    def _denied(self, line: Line, credential: str) -> Admission | None:
        account = self._accounts.get(credential)
        if not credential:
            return self._refuse(line, "credential", 401, (), NO_KEY)
        if account is not None and account.revoked:
            return self._refuse(line, "credential", 401, (), WRONG_KEY)
        if account is not None and account.credit is not None and account.credit <= 0:
            return self._refuse(line, "credit", 429, (), NO_CREDIT)
        return None

    def _retire(self, now: float) -> None:
        ends = self._ends
        while ends and ends[0][0] <= now:
            heappop(ends)[2].in_flight -= 1
            self.books.in_flight -= 1

    def _fault(self) -> str:
        if self._script:
            return self._script.popleft()
        draw = self._rng.random()
        return next((name for bound, name in self._faults if draw < bound), "")

    def _happened(self, fault: str) -> None:
        """Count a fault that was carried out: one of a call that a limit refused is none."""
        if fault:
            self.books.faults[fault] = self.books.faults.get(fault, 0) + 1

    def _outside(self, name: str) -> Admission:
        """What goes wrong before the limits are looked at: it takes nothing."""
        self._happened(name)
        fault, delay = FAULTS[name], self.settings.refusal_delay
        problem = PROBLEMS.get(name)
        return Admission("", fault.status, delay, False, 0, name, fault.reset, problem=problem)

    def _latency(self, quality: str) -> float:
        median = self._medians.get(quality, self._median)
        return median * exp(self._sigma * self._rng.gauss(0.0, 1.0)) if self._sigma else median

    def _execute(
        self, line: Line, account: Account, demand: Demand, cost: int, quality: str, name: str, headers: Headers
    ) -> Admission:
        if not name:
            delay = self._latency(quality)
            self._book(line, account, demand, cost)
            self._occupy(account, delay)
            levels = account.levels()
            return Admission(ADMITTED, 200, delay, True, cost, "", False, levels, headers)
        self._happened(name)
        fault = FAULTS[name]
        executed = self._rng.random() < HALF if fault.executed is None else fault.executed
        delay = self.settings.refusal_delay
        if fault.slow:
            delay = self._latency(quality)
            self._occupy(account, delay)
        if executed:
            self._book(line, account, demand, cost)
        return Admission(
            ADMITTED,
            fault.status,
            inf if fault.stalls else delay,
            executed=executed,
            billed=cost if executed else 0,
            fault=name,
            reset=fault.reset,
            levels=account.levels(),
            headers=headers if fault.status and fault.told else (),
            problem=PROBLEMS.get(name),
        )

    def _book(self, line: Line, account: Account, demand: Demand, cost: int) -> None:
        books = self.books
        line.executed += 1
        line.billed += cost
        account.executed += 1
        account.billed += cost
        if account.credit is not None:
            account.credit -= cost
        books.executed += 1
        books.pictures += demand.images - demand.inputs
        books.billed += cost

    def _occupy(self, account: Account, delay: float) -> None:
        books = self.books
        self._begun += 1
        heappush(self._ends, (self._now + delay, self._begun, account))
        account.in_flight += 1
        if account.in_flight > account.peak:
            account.peak = account.in_flight
        books.in_flight += 1
        if books.in_flight > books.peak:
            books.peak = books.in_flight

    def _refuse(
        self,
        line: Line,
        quantity: str,
        status: int,
        headers: Headers,
        problem: Problem,
        levels: tuple[float, ...] = (),
        late: float = 0.0,
    ) -> Admission:
        self.books.reject(line, quantity)
        delay = self.settings.refusal_delay + late
        return Admission(
            quantity,
            status,
            delay,
            executed=False,
            billed=0,
            levels=levels,
            headers=headers,
            hint=problem.hint,
            problem=problem,
        )


def _cumulative(faults: tuple[tuple[str, float], ...]) -> tuple[tuple[float, str], ...]:
    bounds: list[tuple[float, str]] = []
    total = 0.0
    for name, share in faults:
        total += share
        bounds.append((total, name))
    return tuple(bounds)
