"""A store in a few lines: what every other store must do, and the oracle of the state machine."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import mean
from typing import Any

import msgspec
from msgspec import Raw

from datacat.model.errors import UnknownSession
from datacat.model.fold import Folded
from datacat.model.lifecycle import Status
from datacat.model.problems import Problem, ProblemKind
from datacat.model.records import EMPTY, Event, Metric, Origin
from datacat.model.session import Change, Session
from datacat.model.state import JsonObject, merge, remove, value_at
from datacat.model.words import words
from datacat.store.asked import Aggregate, Bucket, Dimension, Place, Reason, Scope, Search, Wanted, Window
from datacat.store.found import (
    ChangeRow,
    Deployment,
    EventRow,
    Found,
    Identity,
    ListedProblem,
    MetricRow,
    Overdue,
    ProblemCount,
    SeriesPoint,
    SessionCount,
    Size,
    TimedEvent,
)
from datacat.store.sqlite.rows import LEVELS
from datacat.store.sqlite.sums import METRIC_SPANS
from datacat.wire.codec import encode


class ModelStore:
    """Writer and reader at once."""

    def __init__(self) -> None:
        self.known: dict[str, Session] = {}
        self.rows: dict[str, tuple[list[Event], list[Metric]]] = {}
        self.made: dict[str, list[Change]] = {}
        self.found: dict[tuple[str, ProblemKind, int], Problem] = {}
        self.removals: dict[Reason, int] = {}
        self.named: dict[tuple[str | None, str | None, str | None], int] = {}

    @contextmanager
    def transaction(self) -> Iterator["ModelStore"]:
        rows = {key: (list(e), list(m)) for key, (e, m) in self.rows.items()}
        changes = {key: list(value) for key, value in self.made.items()}
        before = dict(self.known), rows, changes, dict(self.found), dict(self.named)
        try:
            yield self
        except BaseException:
            self.known, self.rows, self.made, self.found, self.named = before
            raise

    def load(self, session_id: str) -> Session | None:
        return self.known.get(session_id)

    session = load

    def save(self, folds: Iterable[Folded]) -> None:
        folds = list(folds)
        for s in {fold.session.id: fold.session for fold in folds}.values():
            names = s.product, s.version, s.environment
            self.named[names] = max(self.named.get(names, 0), s.updated_at // 1_000_000 * 1_000_000)
        for fold in folds:
            self.known[fold.session.id] = fold.session
            events, metrics = self.rows.setdefault(fold.session.id, ([], []))
            events += fold.events
            metrics += fold.metrics
            self.made.setdefault(fold.session.id, []).extend(fold.changes)
            for problem in fold.problems:
                key = fold.session.id, problem.kind, problem.number
                known = self.found.get(key)
                evidence = problem.evidence or (known.evidence if known else EMPTY)
                self.found[key] = msgspec.structs.replace(problem, evidence=evidence)

    def remove(self, session_id: str, reason: Reason, now: int) -> bool:
        if session_id not in self.known:
            return False
        del self.known[session_id], self.rows[session_id], self.made[session_id]
        self.found = {key: problem for key, problem in self.found.items() if key[0] != session_id}
        self.removals[reason] = self.removals.get(reason, 0) + 1
        return True

    def sweep(self, rows: int) -> int:
        return 0

    def give_back(self, pages: int) -> int:
        return 0

    def sessions(self, after: str | None, limit: int) -> list[Session]:
        ids = list(self.known)
        first = ids.index(self._session(after).id) + 1 if after else 0
        return [self.known[each] for each in ids[first : first + limit]]

    def events(self, session_id: str, first: int, limit: int) -> list[EventRow]:
        rows = self._rows(session_id)[0][first : first + limit]
        return [EventRow(e.time, e.name, e.level, e.message, Raw(bytes(e.data) or b"{}")) for e in rows]

    def metrics(self, session_id: str, first: int, limit: int) -> list[MetricRow]:
        rows = self._rows(session_id)[1][first : first + limit]
        return [MetricRow(m.time, m.name, m.kind, m.value, m.unit, Raw(encode(m.tags))) for m in rows]

    def event_window(
        self, session_id: str, window: Window, wanted: Wanted, limit: int
    ) -> list[tuple[int, EventRow]]:
        least = LEVELS.index(wanted.least_level)
        found = [
            (n, row)
            for n, row in enumerate(self.events(session_id, 0, 10**9))
            if _wanted(row, n, window, wanted) and LEVELS.index(row.level) >= least
        ]
        return (found[::-1] if window.newest_first else found)[:limit]

    def metric_window(
        self, session_id: str, window: Window, wanted: Wanted, limit: int
    ) -> list[tuple[int, MetricRow]]:
        found = [
            (n, row)
            for n, row in enumerate(self.metrics(session_id, 0, 10**9))
            if _wanted(row, n, window, wanted) and wanted.tags <= set(msgspec.json.decode(row.tags))
        ]
        return (found[::-1] if window.newest_first else found)[:limit]

    def changes(self, session_id: str, first: int, limit: int) -> list[ChangeRow]:
        self._rows(session_id)
        return [
            ChangeRow(c.time, Raw(encode(c.merge)), Raw(encode(c.remove)))
            for c in self.made[session_id][first : first + limit]
        ]

    def state_at(self, session_id: str, time: int) -> JsonObject:
        changes = self.made[self._session(session_id).id]
        known = [number for number, change in enumerate(changes, 1) if change.time <= time]
        state: JsonObject = {}
        for change in changes[: max(known, default=0)]:
            for pointer in change.remove:
                state = remove(state, pointer)
            state = merge(state, change.merge)
        return state

    def ids_with_prefix(self, prefix: str, limit: int) -> list[Identity]:
        ids = sorted(each for each in self.known if each.replace("-", "").startswith(prefix))
        return [Identity(each, self.known[each].product) for each in ids[:limit]]

    def problems_of(self, session_id: str, *, evidence: bool) -> list[Problem]:
        self._rows(session_id)
        found = [problem for key, problem in self.found.items() if key[0] == session_id]
        return found if evidence else [_bare(each) for each in found]

    def problems(self, kind: ProblemKind | None, scope: Scope, limit: int) -> list[ListedProblem]:
        listed = []
        for key, ((session_id, of, _), problem) in enumerate(self.found.items(), 1):
            s = self.known[session_id]
            if kind in (None, of) and _within(scope, s, problem.started_at):
                listed.append(ListedProblem(key, s.id, s.product, s.version, s.environment, _bare(problem)))
        listed.reverse()
        if scope.since is not None or scope.until is not None:
            listed.sort(key=lambda each: each.problem.started_at, reverse=True)
        return listed[:limit]

    def problem_counts(self, kind: ProblemKind, scope: Scope) -> list[ProblemCount]:
        groups: dict[Any, list[ListedProblem]] = {}
        for each in self.problems(kind, scope, 10**9):
            groups.setdefault((each.problem.fingerprint, each.product, each.version), []).append(each)
        counts = []
        for group in groups.values():
            last = max(group, key=lambda each: each.problem.started_at)
            counts.append(
                ProblemCount(
                    last.problem.fingerprint or "",
                    last.product,
                    last.version,
                    len(group),
                    len({each.session_id for each in group}),
                    min(each.problem.started_at for each in group),
                    last.problem.started_at,
                    last.problem.title,
                    last.session_id,
                )
            )
        return counts

    def session_counts(
        self, scope: Scope, bucket: Bucket | None, by: frozenset[Dimension], limit: int
    ) -> list[SessionCount]:
        groups: dict[tuple[Any, Any, Any, Any], list[Session]] = {}
        for s in self.known.values():
            if _within(scope, s, s.created_at):
                dimensions: list[Dimension] = ["product", "version", "environment"]
                product, version, environment = (getattr(s, d) if d in by else None for d in dimensions)
                key = _bucket(bucket, s.created_at), product, version, environment
                groups.setdefault(key, []).append(s)
        counts = [
            SessionCount(
                *key,
                len(group),
                sum(s.status is Status.ACTIVE for s in group),
                sum(s.status is Status.HUNG for s in group),
                sum(s.status is Status.ENDED for s in group),
                sum(s.status is Status.CRASHED for s in group),
                sum(s.status is Status.LOST for s in group),
                sum(s.hangs > 0 for s in group),
                sum(round(s.hang_seconds * 1e6) for s in group) / 1e6,
                sum(max(0, (s.ended_at or s.updated_at) - s.created_at) for s in group) / 1e6,
            )
            for key, group in groups.items()
        ]
        return sorted(counts, key=lambda c: (c.bucket or 0, c.product or "", c.version or ""))[:limit]

    def deployments(self, scope: Scope) -> list[Deployment]:
        asked = scope.product, scope.version, scope.environment
        return [
            Deployment(*names, seen)
            for names, seen in self.named.items()
            if all(want in (None, name) for want, name in zip(asked, names, strict=True))
        ]

    def newest_sessions(
        self, scope: Scope, statuses: frozenset[Status], limit: int, before: Place | None = None
    ) -> list[Session]:
        order = {session_id: number for number, session_id in enumerate(self.known)}
        found = [s for s in self._in(scope) if not statuses or s.status in statuses]
        if before is not None:
            place = before.value, order.get(before.session_id, -1)
            found = [s for s in found if (s.created_at, order[s.id]) < place]
        return sorted(found, key=lambda s: (s.created_at, order[s.id]), reverse=True)[:limit]

    def search(self, search: Search, limit: int, behind: Place | None = None) -> Found:
        order = {session_id: number for number, session_id in enumerate(self.known)}
        value: dict[str, Callable[[Session], int | None]] = {
            "newest": lambda s: s.created_at,
            "oldest": lambda s: s.created_at,
            "ended": lambda s: s.ended_at,
            "longest": lambda s: None if s.ended_at is None else s.ended_at - s.created_at,
            "hung": lambda s: int(s.hang_seconds * 1e6) if s.hangs else None,
        }
        sign = 1 if search.sort == "oldest" else -1
        found = [
            (sign * by, sign * order[s.id], s)
            for s in self._in(search.scope)
            if (by := value[search.sort](s)) is not None and self._is_wanted(s, search)
        ]
        found.sort(key=lambda each: each[:2])
        if behind is not None:
            place = sign * behind.value, sign * order.get(behind.session_id, -1)
            found = [each for each in found if each[:2] > place]
        page = [s for *_, s in found[:limit]]
        last = found[limit - 1] if len(found) > limit else None
        return Found(page, Place(sign * last[0], last[2].id) if last else None)

    def _is_wanted(self, s: Session, search: Search) -> bool:
        events = self.rows[s.id][0]
        said = s.exit.get("message") if s.exit else None
        texts = [s.product, s.version, s.environment, s.hostname, *s.tags, said]
        spoken = words(*texts, *(text for e in events for text in (e.name, e.message)))
        return (
            (not search.statuses or s.status in search.statuses)
            and search.hostname in (None, s.hostname)
            and search.tags <= set(s.tags)
            and search.events <= {e.name for e in events}
            and search.words <= spoken
            and all(value_at(s.state, steps) in values for steps, values in search.state)
        )

    def metric_names(self, limit: int) -> list[str]:
        return sorted({m.name for _, metrics in self.rows.values() for m in metrics})[:limit]

    def event_names(self, limit: int) -> list[str]:
        return sorted({e.name for events, _ in self.rows.values() for e in events})[:limit]

    def metric_over_all(
        self, name: str, scope: Scope, width: int, aggregate: Aggregate, most_series: int
    ) -> list[SeriesPoint]:
        length = max((each for each in METRIC_SPANS if each <= width), default=METRIC_SPANS[0])
        width = -(-width // length) * length
        anywhen = Scope(product=scope.product, version=scope.version, environment=scope.environment)
        since, until = scope.span
        since, until = since // length * length, -(-until // length) * length
        found = [m for s in self._in(anywhen) for m in self.rows[s.id][1] if since <= m.time < until]
        series = sorted({(tuple(m.tags), m.kind, m.unit or "") for m in found if m.name == name})[
            :most_series
        ]
        found = [m for m in found if m.name == name and (tuple(m.tags), m.kind, m.unit or "") in series]
        return _spans(found, width, aggregate)

    def metric_of_session(
        self,
        session_id: str,
        name: str | None,
        scope: Scope,
        aggregate: Aggregate,
        most_points: int,
    ) -> list[SeriesPoint]:
        found = [
            _point(begin, span, aggregate)
            for series in self._series(session_id, name, scope)
            for begin, span in _cut(series, most_points, most_points)
        ]
        return sorted(found, key=lambda point: point.time)

    def metric_extremes(
        self, session_id: str, name: str | None, scope: Scope, spans: int, most_points: int
    ) -> list[SeriesPoint]:
        kept: dict[int, Metric] = {}
        for series in self._series(session_id, name, scope):
            for _, span in _cut(series, spans, most_points):
                kept |= {id(m): m for how in (min, max) for m in [how(span, key=lambda m: m.value)]}
            kept |= {id(m): m for how in (min, max) for m in [how(series, key=lambda m: m.time)]}
        return [
            SeriesPoint(m.time, m.name, m.kind, m.unit, Raw(encode(m.tags)), m.value)
            for m in sorted(kept.values(), key=lambda m: m.time)
        ]

    def newest_events(
        self, scope: Scope, session_id: str | None, names: frozenset[str], least_level: str, limit: int
    ) -> list[TimedEvent]:
        anywhen = Scope(product=scope.product, version=scope.version, environment=scope.environment)
        of = [self._session(session_id)] if session_id else self._in(anywhen)
        found = [
            (e.time, number, n, TimedEvent(s.id, s.product, s.version, self.events(s.id, n, 1)[0]))
            for number, s in enumerate(of)
            for n, e in enumerate(self._rows(s.id)[0])
            if scope.span[0] <= e.time < scope.span[1]
            and (not names or e.name in names)
            and LEVELS.index(e.level) >= LEVELS.index(least_level)
        ]
        if session_id:
            found = found[-limit:]
        return [each for *_, each in sorted(found, key=lambda f: f[:3], reverse=True)[:limit]]

    def _in(self, scope: Scope) -> list[Session]:
        return [s for s in self.known.values() if _within(scope, s, s.created_at)]

    def overdue(self, now: int, listening_since: int, limit: int) -> list[Overdue]:
        found = [
            Overdue(s.id, s.updated_at, s.contact_timeout, s.last_seq.get(Origin.SERVER, 0))
            for s in self.known.values()
            if s.active
            and s.contact_timeout
            and now - max(s.updated_at, listening_since) > s.contact_timeout * 1e6
        ]
        return sorted(found, key=lambda o: o.updated_at + o.contact_timeout * 1e6)[:limit]

    def expired(self, product: str | None, before: int, now: int, limit: int) -> list[str]:
        found = [s for s in self.known.values() if s.product == product]
        return [s.id for s in found if not before <= s.created_at <= now and s.updated_at < before][:limit]

    def oldest_finished(self, limit: int) -> list[str]:
        found = [s for s in self.known.values() if not s.active]
        return [s.id for s in sorted(found, key=lambda s: s.created_at)][:limit]

    def size(self) -> Size:
        return Size(0, 0, 0, 0, self.removals)

    def ahead(self, now: int, limit: int) -> list[Overdue]:
        found = [
            Overdue(s.id, s.updated_at, s.contact_timeout, s.last_seq.get(Origin.SERVER, 0))
            for s in self.known.values()
            if s.active and s.contact_timeout and s.updated_at > now + 2_000_000
        ]
        return sorted(found, key=lambda o: o.contact_timeout)[:limit]

    def _rows(self, session_id: str) -> tuple[list[Event], list[Metric]]:
        return self.rows[self._session(session_id).id]

    def _series(self, session_id: str, name: str | None, scope: Scope) -> Iterable[list[Metric]]:
        series: dict[Any, list[Metric]] = {}
        since, until = scope.span
        for m in self._rows(session_id)[1]:
            if since <= m.time < until and name in (None, m.name):
                series.setdefault((m.name, m.kind, m.unit, encode(m.tags)), []).append(m)
        return series.values()

    def _session(self, session_id: str) -> Session:
        if session_id not in self.known:
            raise UnknownSession(session_id)
        return self.known[session_id]

    def ready(self) -> None: ...

    def close(self) -> None: ...


def _bare(problem: Problem) -> Problem:
    return msgspec.structs.replace(problem, evidence=EMPTY)


def _spans(metrics: list[Metric], width: int, aggregate: Aggregate) -> list[SeriesPoint]:
    spans: dict[Any, list[Metric]] = {}
    for m in metrics:
        key = m.time // width * width, m.name, m.kind, m.unit, encode(m.tags)
        spans.setdefault(key, []).append(m)
    return [_point(key[0], of, aggregate) for key, of in sorted(spans.items(), key=lambda item: item[0][0])]


def _cut(series: list[Metric], most_spans: int, most_points: int) -> list[tuple[int, list[Metric]]]:
    if len(series) <= most_points:
        return [(m.time, [m]) for m in series]
    first, last = min(m.time for m in series), max(m.time for m in series)
    width = (last - first) // most_spans + 1
    spans: dict[int, list[Metric]] = {}
    for m in series:
        spans.setdefault(first + (m.time - first) // width * width, []).append(m)
    return list(spans.items())


def _point(begin: int, of: list[Metric], aggregate: Aggregate) -> SeriesPoint:
    make: dict[Aggregate, Callable[[list[float]], float]] = {
        "avg": mean,
        "sum": sum,
        "count": len,
        "min": min,
        "max": max,
        "last": lambda values: values[-1],
    }
    value = make[aggregate]([m.value for m in sorted(of, key=lambda m: m.time)])
    one = of[0]
    return SeriesPoint(begin, one.name, one.kind, one.unit, Raw(encode(one.tags)), value)


def _within(scope: Scope, session: Session, time: int) -> bool:
    asked = (
        (scope.product, session.product),
        (scope.version, session.version),
        (scope.environment, session.environment),
    )
    return all(wanted in (None, is_) for wanted, is_ in asked) and scope.span[0] <= time < scope.span[1]


def _bucket(bucket: Bucket | None, time: int) -> int | None:
    if bucket is None:
        return None
    moment = datetime.fromtimestamp(time / 1e6, UTC)
    start = moment.replace(minute=0, second=0, microsecond=0)
    if bucket != "hour":
        start = start.replace(hour=0)
    if bucket == "week":
        start -= timedelta(days=start.weekday())
    return int(start.timestamp()) * 1_000_000


def _wanted(row: EventRow | MetricRow, n: int, window: Window, wanted: Wanted) -> bool:
    since, until = wanted.since or 0, wanted.until
    return (
        window.first <= n < window.until
        and (not wanted.names or row.name in wanted.names)
        and since <= row.time
        and (until is None or row.time < until)
    )
