"""Which lanes there are: made when a model is first wanted, closed and opened, re-limited, removed.

A lane's quota is its credential's or its account's, for the pool that its model belongs to. What happens to a quota or
to a lane's health is told here, and puts the lanes that share it in order again before the next call is bound.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from attrs import evolve

from penstock.admission.breaker import Breaker, Health
from penstock.admission.family import Family
from penstock.admission.quota import Quota
from penstock.commands import LaneClosed
from penstock.engine.lanes import Common, Group, Lane
from penstock.entries import Lane as LaneName
from penstock.judging.judgement import Closes
from penstock.lessons import NO_LESSONS
from penstock.outcomes import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.admission.quota import Permit
    from penstock.config import Config, Credential, Limits
    from penstock.engine.desk import Desk
    from penstock.events import Drawn
    from penstock.judging.judgement import Judgement
    from penstock.lessons import Lessons, Use
    from penstock.readings import LimitHint
    from penstock.three import Three
    from penstock.work import Target

REMOVED = Trouble("removed", "its credential was removed, or no longer serves this model")

ERRORS = frozenset({"server_error", "overloaded", "uncertain"})
"""What a lane rests after, where it comes several times in a row."""

SILENT = frozenset({"aborted"})
"""What says nothing of a lane. (Where nobody is there, nobody is for any lane, and each call gives up by itself.)"""


class Roster:
    """Groups by provider, model and whether images are drawn on, quotas by owner and pool.

    What takes no images never waits in line behind what does: a limit of images is none of its own. Both lanes of a
    credential draw on one quota. `touch` hears of groups that may have become free.
    """

    def __init__(self, desk: Desk, touch: Callable[[Group], None]) -> None:
        self.desk = desk
        self.groups: dict[tuple[str, str, bool], Group] = {}
        self.commons: dict[tuple[str, str], Common] = {}
        self.families: dict[tuple[str, str], Family] = {}
        self._touch = touch
        self.stirred: deque[Common] = deque()
        self._dead: dict[str, tuple[Credential, Trouble]] = {}
        self._counted: Config | None = None
        self._room = 0

    # Making

    def group(self, target: Target) -> Group:
        """The lane group of a target, made when it is first wanted."""
        name = (target.provider, target.model, target.demand.images > 0)
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group(target.group, target, self.desk.config.weights)
            for credential in self.desk.config.credentials:
                self._add(group, credential)
        return group

    def _add(self, group: Group, credential: Credential) -> None:
        if not serves(credential, group.target):
            return
        desk = self.desk
        key, limits = quota_of(credential, group.target)
        common = self.commons.get(key)
        if common is None:
            prior = self._prior(credential, key[1])
            family = self.families.setdefault((credential.provider, key[1]), Family())
            eager = desk.config.unproven is None
            common = self.commons[key] = Common(key, limits, Quota(limits, desk.now, prior, family, eager=eager))
        name = LaneName(credential.name, group.target.model)
        # a key that taught something in the last day was good
        bound = None if credential.lessons else desk.config.unproven
        lane = Lane(name, credential, group, common, Breaker(bound))
        common.lanes.append(lane)
        group.lanes.append(lane)
        dead = self._dead.get(credential.name)
        if dead is not None and dead[0] == credential:
            lane.closed = dead[1]
            lane.breaker.rejected(desk.now)
        group.arrange(lane, desk.now)

    def _prior(self, credential: Credential, pool: str) -> Lessons:
        """What a new quota begins with: what an earlier run was taught of it, else what a sibling's was by now."""
        owner = (credential.provider, credential.account or credential.name)
        mates = [one for one in self.desk.config.credentials if (one.provider, one.account or one.name) == owner]
        # an account's use is known by each key that an earlier run had, which need not be the first one now
        told = next((lessons for one in mates for name, lessons in one.lessons if name == pool), NO_LESSONS)
        if told.buckets or told.concurrency is not None:
            return told
        for common in self.commons.values():
            if common.key[1] == pool and common.lanes and common.lanes[0].credential.provider == credential.provider:
                taught = common.quota.lessons(self.desk.now)
                if taught.buckets or taught.concurrency is not None:
                    return evolve(taught, used=told.used)  # its limits are most likely alike, its use is not
        return told

    # What happens to lanes

    def stir(self, lane: Lane) -> None:
        """Something was taken from its quota, given back or learned, or its health changed."""
        common = lane.common
        if not common.stirred:
            common.stirred = True
            self.stirred.append(common)

    def refused(self, lane: Lane, permit: Permit, limit: LimitHint | None, wait: float | None) -> None:
        """A rate limit refused an attempt; other keys may turn out to draw on the same bucket."""
        if lane.quota.refused(permit, limit, wait, self.desk.now):
            self._stir_siblings(lane)

    def _stir_siblings(self, lane: Lane) -> None:
        """What its quota and those of other keys have in common has changed."""
        for common in self.commons.values():
            if common.key[1] == lane.common.key[1] and common.lanes:
                self.stir(common.lanes[0])

    def _out(self, lane: Lane) -> None:
        """A lane takes nothing more: where its quota has no other, siblings have what they shared with it."""
        common = lane.common
        if all(one.closed is not None for one in common.lanes) and common.quota.close(self.desk.now):
            self._stir_siblings(lane)

    def taken(self, lane: Lane) -> None:
        """Something was taken from its quota while its group is looked at: before the next one is."""
        if len(lane.common.lanes) == 1:
            lane.group.arrange(lane, self.desk.now)
        else:
            self.stir(lane)
            self.arrange()

    def arrange(self) -> None:
        """Put in order again whatever was stirred; whoever waits for it is looked at."""
        while self.stirred:
            common = self.stirred.popleft()
            common.stirred = False
            for lane in common.lanes:
                group = lane.group
                group.arrange(lane, self.desk.now)
                if group.line and not group.dirty and group.hopes(lane, self.desk.now):
                    self._touch(group)

    def ended(self, lane: Lane, permit: Permit, taken: Three, tokens: int | None = None) -> None:
        """An attempt is over: its lane and what it reserved come back, as far as they were not `taken`."""
        changed = lane.quota.settle(permit, taken, self.desk.now, tokens)
        lane.breaker.back(permit.sent)
        if changed or not lane.stays():
            self.stir(lane)

    def judged(self, lane: Lane, permit: Permit, judgement: Judgement, trouble: Trouble) -> None:
        """What an ended attempt says of its lane: it is good, has errors, or takes nothing any more."""
        now, breaker = self.desk.now, lane.breaker
        self.stir(lane)
        if judgement.closes is not Closes.NOTHING:
            self._close(lane, judgement, trouble)
        elif judgement.kind in ERRORS or (judgement.kind == "unsent" and breaker.health is Health.PROBING):
            lane.fault = trouble
            breaker.error(permit.sent, now, self.desk.config.retry.base)
        elif judgement.kind == "unsent":
            breaker.unsent()
        elif judgement.kind not in SILENT:
            breaker.alive(now)

    def served(self, lane: Lane) -> None:
        """A lane did what was asked of it."""
        lane.breaker.alive(self.desk.now)

    def _close(self, lane: Lane, judgement: Judgement, trouble: Trouble) -> None:
        """Take a lane, or all lanes of its credential, out of service."""
        whole = judgement.closes is Closes.CREDENTIAL
        if whole:
            self._dead[lane.credential.name] = (lane.credential, trouble)
        meant = [
            other
            for group in self.groups.values()
            for other in group.lanes
            if other.name == lane.name or (whole and other.credential.name == lane.credential.name)
        ]
        # one for what takes images and one for what does not have one name
        for name in dict.fromkeys([other.name for other in meant if self._shut(other, judgement, trouble)]):
            self.desk.notify(LaneClosed(name, trouble.kind, trouble.message))

    def _shut(self, lane: Lane, judgement: Judgement, trouble: Trouble) -> bool:
        """One lane takes nothing more; whether it did before."""
        if judgement.kind == "quota_exhausted":
            lane.breaker.exhausted(self.desk.now)
        else:
            lane.breaker.rejected(self.desk.now)
        news = lane.closed is None
        if news:
            lane.closed = trouble
            self._out(lane)
        lane.group.arrange(lane, self.desk.now)
        self._touch(lane.group)
        return news

    def drawn(self, event: Drawn) -> None:
        """Other runs drew on the same quotas. Of credentials that share one, each may say so: it counts once."""
        known = {(lane.credential.name, one.key[1]): one for one in self.commons.values() for lane in one.lanes}
        uses: dict[tuple[Common, str, float], Use] = {}
        for credential, pool, use in event.uses:
            common = known.get((credential, pool))
            if common is not None:
                which = (common, use.quantity, use.window)
                uses[which] = max(use, uses.get(which, use), key=lambda one: one.amount)
        for (common, _, _), use in uses.items():
            common.quota.drawn(use, self.desk.now)
            self.stir(common.lanes[0])

    # Another configuration

    def reconfigure(self, config: Config, *, resume: bool) -> None:
        """Compare credentials by name: new ones join, gone ones drain, changed ones open again; resume opens all."""
        desk = self.desk
        reweighed = config.weights != desk.config.weights
        desk.config = config
        new = {credential.name: credential for credential in config.credentials}
        if resume:
            self._dead.clear()
        for group in self.groups.values():
            self._forget(group)
            known = {lane.credential.name: lane for lane in group.lanes}
            for name, lane in known.items():
                self._compare(lane, new.get(name), resume=resume)
            for name, credential in new.items():
                before = known.get(name)
                if before is None or before.closed is REMOVED:
                    self._add(group, credential)
            if reweighed:
                group.line.reweigh(config.weights)
            self._touch(group)
        self._relimit(config)

    def _compare(self, lane: Lane, credential: Credential | None, *, resume: bool) -> None:
        """One lane under a new configuration; None: its credential is not in it."""
        desk, target = self.desk, lane.group.target
        gone = credential is None or not serves(credential, target)
        if credential is None or gone or quota_of(credential, target)[0] != lane.common.key:
            lane.closed = REMOVED
            lane.breaker.rejected(desk.now)
            self._out(lane)
        elif lane.closed is REMOVED:
            return
        elif resume or lane.credential != credential:
            if lane.closed is not None or lane.breaker.down is not None:
                lane.breaker.again(desk.now)
            lane.closed, lane.credential = None, credential
        lane.group.arrange(lane, desk.now)

    def _forget(self, group: Group) -> None:
        """Lanes that were removed and have nothing out any more."""
        for lane in [lane for lane in group.lanes if lane.closed is REMOVED and not lane.breaker.out]:
            group.lanes.remove(lane)
            lane.common.lanes.remove(lane)

    def _relimit(self, config: Config) -> None:
        """Quotas take the limits of the first credential that draws on them; those of nobody are forgotten."""
        limits = {
            quota_of(credential, group.target)[0]: quota_of(credential, group.target)[1]
            for credential in reversed(config.credentials)
            for group in self.groups.values()
            if serves(credential, group.target)
        }
        for key, common in list(self.commons.items()):
            told = limits.get(key)
            if told is not None and told != common.limits:
                common.limits = told
                common.quota.relimit(told, self.desk.now)
            if common.lanes:
                self.stir(common.lanes[0])
            elif not common.quota.in_flight:
                del self.commons[key]

    # Figures

    def concurrency(self) -> int:
        """How many exchanges at a time all credentials allow together."""
        if self._counted is not self.desk.config:
            self._counted = self.desk.config
            self._room = sum(credential.limits.concurrency or 64 for credential in self._counted.credentials)
        return self._room


def serves(credential: Credential, target: Target) -> bool:
    """Whether a credential is good for a target's provider and model."""
    return credential.provider == target.provider and (credential.models is None or target.model in credential.models)


def quota_of(credential: Credential, target: Target) -> tuple[tuple[str, str], Limits]:
    """Whose quota a credential's lane for a target draws on, for which pool, and the limits of it."""
    pool, limits = credential.pool(target.model, target.pool)
    owner = f"{credential.provider}, account {credential.account}" if credential.account else credential.name
    return (owner, pool), limits
