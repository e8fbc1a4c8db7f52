"""What went wrong: of one session, of all of them newest first, and which of it is the same."""

from collections import Counter
from typing import Any, Final

from msgspec import Struct

from datacat.model.hangs import read_object
from datacat.model.problems import CRASH, HANG, Problem, ProblemKind
from datacat.model.session import Session
from datacat.store.asked import Scope
from datacat.store.found import ListedProblem, ProblemCount
from datacat.store.port import Reader
from datacat.wire.timestamps import rfc3339

_LISTS: Final = ("stacks", "samples")
_EVIDENCE: Final = ("thread", "gil_held", "cpu_seconds", "timeout", "asyncio")


class HangView(Struct, kw_only=True, omit_defaults=True):
    """A span in which a monitor's heart did not beat; ``end`` and ``seconds`` are null while it lasts.

    ``kind`` is blocked, spinning or unknown. The evidence comes with one session's own answer, as
    far as there is any: every thread's ``stacks``, ``samples`` of the one that hung, and the tasks
    of an event loop that hung (``asyncio``).
    """

    start: str
    end: str | None
    kind: str
    seconds: float | None
    monitor: str
    fingerprint: str
    title: str
    thread: Any = None
    gil_held: Any = None
    cpu_seconds: Any = None
    timeout: Any = None
    asyncio: Any = None
    stacks: list[Any] = []
    samples: list[Any] = []


class LiveProblem(Struct, kw_only=True):
    """A problem as it stands; told again under the same session, kind and number, it takes its own place.

    ``kind`` is hang, crash or lost; ``number`` counts the session's problems of this kind from 1; ``cause`` is
    a crash's, ``hang_kind`` and ``monitor`` a hang's.
    """

    kind: str
    number: int
    session_id: str
    product: str | None
    version: str | None
    environment: str | None
    title: str
    cause: str | None
    hang_kind: str | None
    monitor: str | None
    fingerprint: str | None
    start: str
    end: str | None
    seconds: float | None


class ProblemView(LiveProblem, kw_only=True):
    """A problem among those of all sessions; ``id`` grows with each that is heard of."""

    id: int


class Share(Struct):
    """How many of a group are of one product, or one version of one."""

    product: str | None
    version: str | None
    count: int


class GroupView(Struct, kw_only=True):
    """Problems with one fingerprint; the title and the sample are the latest one's."""

    fingerprint: str
    title: str
    count: int
    sessions: int
    first_seen: str
    last_seen: str
    products: list[str | None]
    versions: list[Share]
    sample_session_id: str


def hangs_of(reader: Reader, session_id: str, *, evidence: bool) -> list[HangView]:
    """A session's hangs, in the order in which they were heard of."""
    found = reader.problems_of(session_id, evidence=evidence)
    return [_hang_view(problem) for problem in found if problem.kind == HANG]


def newest(reader: Reader, kind: ProblemKind | None, scope: Scope, limit: int) -> list[ProblemView]:
    """Problems, newest first; see :meth:`datacat.store.port.Reader.problems`."""
    return [_problem_view(listed) for listed in reader.problems(kind, scope, limit)]


def grouped(reader: Reader, kind: ProblemKind, scope: Scope, limit: int) -> list[GroupView]:
    """Problems by fingerprint, the most frequent first."""
    groups: dict[str, list[ProblemCount]] = {}
    for count in reader.problem_counts(kind, scope):
        groups.setdefault(count.fingerprint, []).append(count)
    views = [_group_view(fingerprint, counts) for fingerprint, counts in groups.items()]
    views.sort(key=lambda view: (view.count, view.last_seen), reverse=True)
    return views[:limit]


def _hang_view(problem: Problem) -> HangView:
    data = read_object(problem.evidence)
    known: dict[str, Any] = {key: data[key] for key in _EVIDENCE if data.get(key) is not None}
    known |= {key: data[key] for key in _LISTS if isinstance(data.get(key), list)}
    return HangView(
        start=rfc3339(problem.started_at),
        end=None if problem.ended_at is None else rfc3339(problem.ended_at),
        kind=problem.detail,
        seconds=problem.seconds,
        monitor=problem.monitor or "",
        fingerprint=problem.fingerprint or "",
        title=problem.title,
        **known,
    )


def live_problem(session: Session, problem: Problem) -> LiveProblem:
    """One of a session's problems, as it is told while things happen."""
    return LiveProblem(
        session_id=session.id,
        product=session.product,
        version=session.version,
        environment=session.environment,
        **_facts(problem),
    )


def _problem_view(listed: ListedProblem) -> ProblemView:
    return ProblemView(
        id=listed.key,
        session_id=listed.session_id,
        product=listed.product,
        version=listed.version,
        environment=listed.environment,
        **_facts(listed.problem),
    )


def _facts(problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "number": problem.number,
        "title": problem.title,
        "cause": problem.detail if problem.kind == CRASH else None,
        "hang_kind": problem.detail if problem.kind == HANG else None,
        "monitor": problem.monitor,
        "fingerprint": problem.fingerprint,
        "start": rfc3339(problem.started_at),
        "end": None if problem.ended_at is None else rfc3339(problem.ended_at),
        "seconds": problem.seconds,
    }


def _group_view(fingerprint: str, counts: list[ProblemCount]) -> GroupView:
    latest = max(counts, key=lambda count: count.last_seen)
    shares: Counter[tuple[str | None, str | None]] = Counter()
    for count in counts:
        shares[count.product, count.version] += count.count
    return GroupView(
        fingerprint=fingerprint,
        title=latest.title,
        count=sum(count.count for count in counts),
        sessions=sum(count.sessions for count in counts),
        first_seen=rfc3339(min(count.first_seen for count in counts)),
        last_seen=rfc3339(latest.last_seen),
        products=sorted({count.product for count in counts}, key=lambda name: name or ""),
        versions=[Share(product, version, count) for (product, version), count in shares.most_common()],
        sample_session_id=latest.sample,
    )
