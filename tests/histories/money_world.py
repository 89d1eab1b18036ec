"""Worlds that try to overspend: jobs of several payers, faults that bill all the same, and the provider's true bill.

A history is drawn from a plan and a seed. It runs in virtual time, against a simulated provider that bills what it
executed, whatever became of the reply. At every step the bill of each scope is held against its cap, at the end
against the books.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

from penstock.config import Ambiguity, Budget, BudgetPolicy, Config, Credential, Gathering, Hedging, Retry
from penstock.entries import Failed as FailedEntry
from penstock.entries import Intent, Owed, Settled, Void
from penstock.events import Failed, Mode, Reconfigured, Responded
from penstock.ids import Handle, JobId, Key
from penstock.money.balances import NOTHING, Balance, Balances
from penstock.readings import Kind, Malformed, Part, Problem, Reached, Success, Usage, Verdict
from penstock.simulation.monitor import Monitor
from penstock.simulation.server import Latency, Server, ServerSettings
from penstock.simulation.world import World
from penstock.work import Demand, OnAmbiguous, Purpose, Rates, Screen, Target, Timeouts, Work

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.commands import Send
    from penstock.entries import Entry
    from penstock.events import Event
    from penstock.simulation.server import Admission

QUOTES = {"m1": 100, "m2": 37}
DAY = 86_400
EPOCH = 1_790_000_000 // DAY * DAY + DAY - 4.0
"""Four seconds before a midnight."""

SERVER_FAULTS = (
    ("reset", 0.08),
    ("stall", 0.04),
    ("truncated", 0.04),
    ("500", 0.08),
    ("502", 0.06),
    ("moderation", 0.03),
)
TRICKS = ("short", "silent", "unreadable", "inside", "proxy", "too_large", "output", "output_silent")
"""What may become of a reply whose picture is made and billed."""


@frozen
class Plan:
    """How a history is: `faulty` is the chance of each trick, `caps` those of run, tenant and tag (0: none)."""

    seed: int
    jobs: int = 6
    caps: tuple[int, int, int] = (600, 0, 0)
    fails: bool = False
    mode: OnAmbiguous = OnAmbiguous.AUTO
    records: bool = True
    dated: bool = False
    hedged: bool = False
    gathered: bool = False
    shared: bool = False
    faulty: float = 0.2
    crashes: bool = False
    lowers: bool = False
    leaves: bool = False
    downs: bool = False


def drawn(seed: int) -> Plan:
    """A plan from a seed alone."""
    rng = Random(seed)

    def coin(chance: float = 0.4) -> bool:
        return rng.random() < chance

    records = coin(0.7)
    dated = records and coin(0.3)
    return Plan(
        seed,
        jobs=rng.choice((1, 2, 4, 7)),
        caps=(rng.choice((0, 150, 400, 900)), rng.choice((0, 0, 100, 350)), rng.choice((0, 0, 100, 350))),
        fails=coin(),
        mode=rng.choice(tuple(OnAmbiguous)),
        records=records,
        dated=dated,
        hedged=coin(),
        gathered=coin(),
        shared=coin(),
        faulty=rng.choice((0.0, 0.2, 0.6)),
        crashes=records and not dated and coin(0.3),
        lowers=coin(),
        leaves=coin(),
        downs=records and coin(0.2),
    )


@define
class Truth:
    """What the provider billed, by scope, in picodollars; it lasts over restarts of the program.

    `sure`: no reply left any doubt. `exact`: each reply said what it cost, each to one payer.
    """

    bills: dict[str, int] = field(factory=dict[str, int])
    sure: bool = True
    exact: bool = True

    def bill(self, scopes: Iterable[str], cost: int) -> None:
        """Book one charge of the provider's."""
        for scope in scopes:
            self.bills[scope] = self.bills.get(scope, 0) + cost


class MoneyWorld(World):
    """A world whose provider's costs vary, and that keeps the true bill of every scope."""

    def __init__(
        self,
        plan: Plan,
        config: Config,
        server: Server,
        truth: Truth,
        rng: Random,
        *,
        opening: Balances = NOTHING,
        epoch: float = EPOCH,
        watched: bool = True,
    ) -> None:
        super().__init__(
            config,
            server,
            rng=Random(plan.seed),
            opening=opening,
            epoch=epoch,
            wrap=(lambda engine: Monitor(engine, config=config, opening=opening)) if watched else None,
        )
        self.plan = plan
        self.config = config
        self.truth = truth
        self.rng = rng
        self.epoch = epoch
        self.calm = False
        self.down = False
        self.submitted: dict[JobId, Work] = {}
        self.tricks: dict[int, str] = {}
        self.costs: dict[int, int] = {}
        self.ceilings: dict[str, int] = {}
        self.floor(opening)
        if plan.downs:
            self.journal_fault = lambda _: "no space left" if self.down else None

    def submit(self, work: Work) -> JobId:
        """One more job."""
        self.submitted[JobId(len(self.submitted) + 1)] = work
        return super().submit(work)

    # The provider

    def admit(self, send: Send, demand: Demand, identity: str, cost: int) -> Admission:
        """Decide what it costs, what becomes of the reply, and bill it."""
        del cost
        target = self.target(send)
        count = max(1, send.samples)
        trick = "" if self.calm or self.rng.random() >= self.plan.faulty else self.rng.choice(TRICKS)
        each = target.quote or 0
        if target.rates is None and trick not in {"too_large", "silent"}:
            each = self.rng.randint(each // 2, each)
        admission = super().admit(send, demand, identity, each * count)
        self.costs[send.attempt] = each * count
        if admission.status != 200 or admission.reset or admission.fault:
            trick = ""
            self.truth.sure &= not admission.fault or admission.fault in {"500", "moderation"}
        elif trick:
            self.tricks[send.attempt] = trick
            self.truth.sure &= trick in {"short", "silent", "too_large", "output"}
            self.truth.exact &= not (trick in {"short", "output"} and len(send.parts) > 1)
        payers = [job for job, _ in send.parts]
        joint = trick == "short" and len(payers) > 1
        if admission.executed and joint:
            # whose it is that was billed and did not come is for the books to say; the run pays it in any case
            self.truth.bill((name for name in self.scopes(payers[0]) if name.endswith("run")), each * count)
        elif admission.executed:
            for job, samples in send.parts:
                self.truth.bill(self.scopes(job), each * max(1, len(samples)))
        return admission

    def scopes(self, job: JobId) -> tuple[str, ...]:
        """Where a job's money belongs."""
        work = self.submitted[job]
        tenant = (f"tenant:{work.tenant}",) if work.tenant else ()
        plain = ("run", *tenant, *[f"tag:{tag}" for tag in dict.fromkeys(work.tags)])
        if not self.config.ledger:
            return plain
        day = f"day {int((self.epoch + self.now) // DAY)}"
        return (*plain, *[f"{day}/{scope}" for scope in plain])

    def reported(self, send: Send, admission: Admission, cost: int) -> Event:
        """What the driver sees of it."""
        cost = self.costs.pop(send.attempt)
        trick = self.tricks.pop(send.attempt, "")
        if not trick:
            return super().reported(send, admission, cost)
        usage = None if trick.endswith("silent") else Usage(cost=cost)
        broken = Problem("server_error", None, "inside a 200")
        refusal = Problem("moderation_blocked", None, "not this", stage="output", usage=usage)
        match trick:
            case "unreadable":
                return Responded(send.attempt, 200, (), Malformed("not JSON", "<html>"))
            case "inside":
                return Responded(send.attempt, 200, (), broken)
            case "proxy":
                return Responded(send.attempt, 504, (), Problem(message="a proxy's page", own=False))
            case "too_large":
                return Failed(send.attempt, Kind.TOO_LARGE, Reached.READING)
            case "output" | "output_silent":
                return Responded(send.attempt, 400, (), refusal)
            case _:
                return Responded(send.attempt, 200, (), self.some(send, usage))

    def some(self, send: Send, usage: Usage | None) -> Success:
        """At least one picture of those that were asked for."""
        if send.purpose is not Purpose.GENERATE:
            return Success(usage, (), Verdict(passed=True))
        count = self.rng.randint(1, send.samples)
        places = sorted(self.rng.sample(range(send.samples), count))
        return Success(usage, tuple([Part(place, self.ref("b"), "1024x1024", "png", 9) for place in places]))

    def reading(self, send: Send, cost: int) -> Success:
        """A good reply."""
        if send.purpose is not Purpose.GENERATE:
            return Success(Usage(cost=cost), (), Verdict(passed=True))
        parts = [Part(place, self.ref("b"), "1024x1024", "png", 9) for place in range(send.samples)]
        return Success(Usage(cost=cost), tuple(parts))

    # Caps

    def tell(self, event: Event) -> None:
        """One step, after which no bill is above its cap."""
        super().tell(event)
        for scope, cap in self.config.budget.caps:
            names = [scope] if scope != "day" else [name for name in self.truth.bills if name.endswith("/run")]
            for name in names:
                bill = self.truth.bills.get(name, 0)
                most = max(cap, self.ceilings.get(name, 0))
                assert bill <= most, f"{name} is billed {bill}, and its cap is {most} at {self.now}"

    def floor(self, money: Balances) -> None:
        """What is used or out already may be paid, whatever the caps are from now on."""
        self.ceilings = {name: one.reserved + one.charged + one.maybe for name, one in money.scopes}
        used = max((used for book, used in self.ceilings.items() if book[0].isdigit()), default=0)
        today = f"day {int((self.epoch + self.now) // DAY)}/run"
        for name in {today, *[name for name in self.truth.bills if name.startswith("day ")]}:
            self.ceilings[name] = used

    def recap(self, budget: Budget) -> None:
        """Other caps from now on."""
        self.floor(self.bare.snapshot().money)
        self.config = evolve(self.config, budget=budget)
        self.tell(Reconfigured(self.config, resume=True))

    def mend(self) -> None:
        """The disk has room again, and nothing more goes wrong."""
        self.calm, self.down = True, False
        self.server.set_faults(())
        self.tell(Reconfigured(self.config, resume=True))


def config_of(plan: Plan) -> Config:
    """The engine's configuration."""
    run, tenant, tag = plan.caps
    scopes = ("day" if plan.dated else "run", "tenant:a", "tag:x")
    caps = tuple([(scope, cap) for scope, cap in zip(scopes, (run, tenant, tag), strict=True) if cap])
    return Config(
        (Credential("c1"), Credential("c2")),
        retry=Retry(attempts=3, base=0.1, cap=1.0),
        ambiguity=Ambiguity(plan.mode, floor=2),
        budget=Budget(caps, BudgetPolicy.FAIL if plan.fails else BudgetPolicy.WAIT),
        hedging=Hedging(0.4 if plan.hedged else None),
        gathering=Gathering(3 if plan.gathered else 1, 0.05),
        store=plan.shared,
        journal=plan.records,
        ledger=plan.dated,
    )


def work(plan: Plan, rng: Random, number: int) -> Work:
    """One job: whose, for how many pictures, with which fallback, perhaps with a screen that costs."""
    topic = rng.randrange(3) if plan.shared else number
    samples = rng.choice((1, 1, 2, 4))
    targets = [target(plan, model, topic, samples) for model in rng.choice((("m1",), ("m2",), ("m1", "m2")))]
    screen = Screen("s.1", target=Target("default", "s", quote=5, purpose=Purpose.SCREEN, divisible=False))
    return Work(
        tuple(targets),
        Handle(number),
        tenant=rng.choice(("", "a", "a", "b")),
        tags=rng.choice(((), ("x",), ("x", "y"), ("y",))),
        screens=(screen,) if rng.random() < 0.15 else (),
        on_ambiguous=rng.choice((None, None, OnAmbiguous.RETRY)),
    )


def target(plan: Plan, model: str, topic: int, samples: int) -> Target:
    """So many pictures of a topic."""
    return Target(
        "default",
        model,
        tuple([Key(f"{model}/{topic}/{sample}") for sample in range(samples)]),
        Demand(1, 1, 10),
        QUOTES[model],
        rates=Rates(picture=QUOTES[model]) if model == "m2" and plan.seed % 3 == 0 else None,
        gather="g" if plan.gathered else None,
        most=3,
        timeouts=Timeouts(total=3.0),
    )


def opened(entries: list[Entry]) -> Balances:
    """What a journal with these entries opens with: ended attempts as they ended, the others as still reserved."""
    ends = {entry.attempt: entry for entry in entries if isinstance(entry, Settled | FailedEntry | Void)}
    owed = {entry.attempt: entry for entry in entries if isinstance(entry, Owed)}
    books: dict[str, Balance] = {}
    for intent in [entry for entry in entries if isinstance(entry, Intent)]:
        end = ends.get(intent.attempt) or owed.get(intent.attempt)
        count = sum(max(1, len(samples)) for _, samples in intent.parts)
        for place, ((_, samples), scopes) in enumerate(zip(intent.parts, intent.scopes, strict=True)):
            bound = (intent.quote or 0) // count * max(1, len(samples))
            more = Balance(reserved=bound)
            if isinstance(end, Void):
                more = Balance()
            elif end is not None:
                cost = end.charges[place]
                more = more if cost is None else Balance(charged=cost)
            for scope in scopes:
                before = books.get(scope, Balance())
                books[scope] = Balance(before.reserved + more.reserved, before.charged + more.charged)
    return Balances(tuple(sorted(books.items())))


class Story:
    """One history: set up, acted out, ended, audited."""

    def __init__(self, plan: Plan, *, watched: bool = True) -> None:
        self.plan = plan
        self.rng = Random(plan.seed)
        self.watched = watched
        self.truth = Truth()
        faults = SERVER_FAULTS if plan.faulty else ()
        settings = ServerSettings(latency=Latency(0.3, 0.5), faults=faults)
        self.server = Server(settings, rng=Random(plan.seed + 1))
        self.entries: list[Entry] = []
        self.world = self.begin(config_of(plan), EPOCH)
        self.jobs = 0

    def begin(self, config: Config, epoch: float) -> MoneyWorld:
        """The program is started, perhaps again."""
        opening = opened(self.entries)
        return MoneyWorld(
            self.plan, config, self.server, self.truth, self.rng, opening=opening, epoch=epoch, watched=self.watched
        )

    def act(self) -> None:
        """All that its callers and the world do, in time."""
        at, plan, rng = 0.0, self.plan, self.rng
        for number in range(plan.jobs):
            at += rng.choice((0.0, 0.0, 0.1, 0.7))
            self.world.run_until(at)
            self.jobs += 1
            self.world.submit(work(plan, rng, self.jobs))
            if plan.leaves and rng.random() < 0.4:
                self.world.run_until(at + 0.2)
                self.world.cancel(rng.choice(list(self.world.submitted)), abort=rng.random() < 0.5)
            if plan.lowers and rng.random() < 0.3:
                self.recap()
            if plan.downs and rng.random() < 0.3:
                self.world.down = True
            if plan.crashes and number == plan.jobs // 2:
                self.crash()
                at = 0.0

    def recap(self) -> None:
        """Each cap is raised or lowered, or goes."""
        budget = self.world.config.budget
        caps = tuple([(scope, self.rng.choice((cap // 2, cap, 2 * cap))) for scope, cap in budget.caps])
        self.world.recap(evolve(budget, caps=caps))

    def crash(self) -> None:
        """The program is killed, and started again with what its journal says; nobody asks again."""
        self.entries += self.world.entries
        self.world = self.begin(self.world.config, self.world.epoch + self.world.now)

    def end(self) -> None:
        """Everything is answered, the client is closed, and nothing is out any more."""
        world = self.world
        world.run_until(world.now + self.rng.choice((0.0, 1.0, 30.0)))
        world.mend()
        if self.rng.random() < 0.7:
            world.run()
        world.close(Mode.ABORT if self.rng.random() < 0.3 else Mode.DRAIN)
        world.run()
        assert world.engine.idle()
        assert world.engine.snapshot().at_rest

    def audit(self) -> None:
        """The books hold the bill; where nothing was in doubt they are the bill, to the picodollar, in each scope."""
        money = self.world.engine.snapshot().money
        total, bills = money.total, self.truth.bills
        sure = not total.maybe
        assert self.server.books.billed == bills.get("run", 0)
        assert total.charged <= self.server.books.billed <= total.charged + total.maybe
        assert self.truth.sure or total.maybe
        for scope, bill in bills.items():
            if scope.startswith("day "):
                continue
            book = money.of(scope)
            assert not self.truth.exact or bill <= book.charged + book.maybe, scope
            assert not (sure and self.truth.exact) or bill == book.charged, scope


def story(plan: Plan, *, watched: bool = True) -> Story:
    """Run one history; raises an AssertionError where money is not what it should be."""
    one = Story(plan, watched=watched)
    one.act()
    one.end()
    one.audit()
    return one
