"""What a history is like: configuration and workload, all drawn from one seed."""

from __future__ import annotations

from random import Random

from attrs import evolve, frozen

from penstock.config import (
    Ambiguity,
    Budget,
    BudgetPolicy,
    Config,
    Credential,
    Gathering,
    Hedging,
    Limits,
    NearCache,
    Retry,
)
from penstock.ids import Handle, Key
from penstock.work import (
    CachePolicy,
    Demand,
    OnAmbiguous,
    Priority,
    Purpose,
    Rates,
    Screen,
    Target,
    Timeouts,
    Work,
)

MODELS = ("m1", "m2", "m3")
PROMPT = "a red fox in the snow"
SECRET = "sk-not-to-be-seen"


@frozen
class Knobs:
    """Chances are per opportunity, between 0 and 1; `jobs` bounds the jobs, `steps` the steps before the end.

    `sizes`: how many samples a job may ask for; `topics`: how many different requests there are.
    """

    config: Config
    jobs: int
    steps: int
    topics: int
    sizes: int
    chain: int
    urls: bool
    excess: bool
    screens: float
    streams: float
    gathers: bool
    defers: float
    odd_policies: float
    deadlines: float
    faults: float
    leaves: float
    models: tuple[Target, ...]
    abort_closing: bool
    divisible: float


def draw(rng: Random) -> Knobs:
    """Knobs of one history."""
    chance = rng.random
    faulty = rng.choice((0.0, 0.0, 0.03, 0.15))
    knobs = Knobs(
        config=_config(rng),
        jobs=rng.choice((1, 2, 4, 8, 8, 14)),
        steps=rng.choice((8, 25, 60, 60, 120)),
        topics=rng.choice((1, 2, 4, 20)),
        sizes=rng.choice((1, 1, 2, 4)),
        chain=rng.choice((1, 1, 2, 3)),
        urls=chance() < 0.25,
        excess=chance() < 0.1,
        screens=rng.choice((0.0, 0.0, 0.3, 0.8)),
        streams=rng.choice((0.0, 0.0, 0.3)),
        gathers=chance() < 0.3,
        defers=rng.choice((0.0, 0.0, 0.4)),
        odd_policies=rng.choice((0.0, 0.0, 0.3)),
        deadlines=rng.choice((0.0, 0.0, 0.3)),
        faults=faulty,
        leaves=rng.choice((0.0, 0.05, 0.15)),
        models=tuple([_model(rng, place) for place in range(len(MODELS))]),
        abort_closing=chance() < 0.3,
        divisible=rng.choice((1.0, 0.8)),
    )
    return evolve(knobs, config=_booked(knobs.config, Random(repr(knobs))))  # seeds are what they were before ledgers


def _booked(config: Config, rng: Random) -> Config:
    """A quarter of them have a ledger on disk, and caps that begin anew each day or month."""
    if rng.random() < 0.75:
        return config
    caps = list(config.budget.caps)
    if rng.random() < 0.5:
        caps.append((rng.choice(("day", "month")), rng.choice((150, 400, 1500))))
    if rng.random() < 0.3:
        caps.append((rng.choice(("tenant:a@day", "tag:x@month")), rng.choice((100, 300))))
    return evolve(config, ledger=True, budget=evolve(config.budget, caps=tuple(caps)))


def _config(rng: Random) -> Config:
    chance = rng.random
    store = chance() < 0.7
    near = None
    if store and chance() < 0.3:
        hook = "" if chance() < 0.4 else "embed"
        target = None if hook else helper("embeddings", Purpose.EMBED, rng)
        near = NearCache(hook=hook, target=target, patience=rng.choice((0.5, 10.0)))
    return Config(
        credentials=tuple([credential(f"c{index}", rng) for index in range(rng.choice((1, 1, 2, 3)))]),
        retry=Retry(attempts=rng.choice((1, 2, 3, 6)), most=rng.choice((1, 3, 12))),
        patience=rng.choice((None, None, 5.0, 600.0)),
        ambiguity=Ambiguity(
            rng.choice((*OnAmbiguous, OnAmbiguous.AUTO)),
            floor=rng.choice((0, 1, 3)),
            share=rng.choice((0.02, 0.02, 0.2)),
            window=rng.choice((None, None, 20.0, 3600.0)),
        ),
        budget=budget(rng),
        gathering=Gathering(most=rng.choice((1, 3)), wait=0.05),
        hedging=Hedging(after=rng.choice((None, None, 1.0))),
        near=near,
        store=store,
        journal=chance() < 0.6,
        claims=store and chance() < 0.4,
        halts=chance() < 0.4,
        queue=rng.choice((None, None, None, 3)),
        window=rng.choice((0, 0, 5)),
        read_patience=rng.choice((0.2, 5.0)),
        downloads=rng.choice((1, 3)),
        url_life=rng.choice((2.0, 3600.0)),
    )


def limits(rng: Random) -> Limits:
    """Limits of a credential, often tight."""
    return Limits(
        rpm=rng.choice((None, None, 30.0, 600.0)),
        tpm=rng.choice((None, None, 3000.0)),
        ipm=rng.choice((None, None, 3.0, 60.0)),
        concurrency=rng.choice((1, 2, 5, None)),
        burst=rng.choice((1.0, 1.0, 0.1)),
    )


def credential(name: str, rng: Random) -> Credential:
    """A key for all models, or for some."""
    models = None if rng.random() < 0.8 else tuple(rng.sample(MODELS, 2))
    return Credential(name, "p", limits(rng), models)


def budget(rng: Random) -> Budget:
    """Caps on nothing, the run, a tenant, a tag."""
    caps: list[tuple[str, int]] = []
    if rng.random() < 0.4:
        caps.append(("run", rng.choice((150, 400, 1500))))
    if rng.random() < 0.2:
        caps.append(("tenant:a", rng.choice((100, 300))))
    if rng.random() < 0.2:
        caps.append(("tag:x", rng.choice((100, 300))))
    return Budget(
        tuple(caps), BudgetPolicy.WAIT if rng.random() < 0.7 else BudgetPolicy.FAIL, unknown=rng.random() < 0.5
    )


def helper(operation: str, purpose: Purpose, rng: Random) -> Target:
    """A target of a screen or an embedder: cheap, on a model of its own or on one that also makes pictures."""
    model = rng.choice((operation, "m1"))
    return Target("p", model, quote=rng.choice((0, 7)), operation=operation, purpose=purpose, divisible=False)


def _model(rng: Random, place: int) -> Target:
    """What all requests to one model have in common: what has the same key has the same price."""
    return Target(
        provider="p",
        model=MODELS[place],
        demand=Demand(1, 1, rng.choice((10, 500))),
        quote=None if rng.random() < 0.07 else (97, 50, 11)[place],
        rates=Rates(picture=10) if rng.random() < 0.2 else None,
        dialect=rng.choice(("openai", "openai", "openrouter")),
        pool=rng.choice(("", "", "shared")),
        scope="s",
        timeouts=Timeouts(total=rng.choice((2.0, 30.0, 600.0))),
        warnings=("a warning",) if rng.random() < 0.1 else (),
    )


def target(knobs: Knobs, rng: Random, place: int, topic: int, first: int, samples: int) -> Target:
    """Place `place` of a chain."""
    model = knobs.models[place]
    stream = rng.random() < knobs.streams
    return evolve(
        model,
        keys=tuple([Key(f"{model.model}/{topic}/{sample}") for sample in range(first, first + samples)]),
        divisible=rng.random() < knobs.divisible,
        most=rng.choice((1, 2, 10)),
        gather="g" if knobs.gathers and not stream else None,
        stream=stream,
        hedgeable=rng.random() < 0.9,
    )


def work(knobs: Knobs, rng: Random, handle: int, now: float) -> Work:
    """One job."""
    topic = rng.randrange(knobs.topics)
    first, samples = rng.choice((0, 0, 1)), rng.randint(1, knobs.sizes)
    targets = tuple([target(knobs, rng, place, topic, first, samples) for place in range(rng.randint(1, knobs.chain))])
    policy = CachePolicy.USE
    if rng.random() < knobs.odd_policies:
        policy = rng.choice(tuple(CachePolicy))
    return Work(
        targets,
        Handle(handle),
        tenant=rng.choice(("", "a", "b")),
        tags=rng.choice(((), ("x",), ("x", "y"), ("x", "x"))),
        priority=rng.choice(tuple(Priority)),
        deadline=now + rng.choice((-1.0, 0.5, 20.0)) if rng.random() < knobs.deadlines else None,
        on_ambiguous=rng.choice((None, None, *OnAmbiguous)),
        cache=policy,
        near=knobs.config.near is not None and rng.random() < 0.7,
        ttl=rng.choice((None, 60.0)),
        screens=_screens(knobs, rng),
        defer=rng.random() < knobs.defers,
    )


def _screens(knobs: Knobs, rng: Random) -> tuple[Screen, ...]:
    screens: list[Screen] = []
    for picture in (False, True):
        if rng.random() < knobs.screens:
            for index in range(rng.choice((1, 1, 2))):
                where = "picture" if picture else "prompt"
                one = Screen(
                    f"{where}{index}.v{rng.choice((1, 1, 2))}",
                    picture,
                    patience=rng.choice((0.3, 30.0)),
                    passes_on_fault=rng.random() < 0.5,
                )
                if rng.random() < 0.6:
                    screens.append(evolve(one, hook=where))
                else:
                    screens.append(evolve(one, target=helper(f"moderate.{where}.{index}", Purpose.SCREEN, rng)))
    return tuple(screens)
