"""What is recorded at all: products with their versions, and how many sessions of each."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from datacat.store.asked import Scope
from datacat.store.found import Deployment, SessionCount
from datacat.store.port import Reader
from datacat.wire.timestamps import rfc3339

_MOST: Final = 100_000
"""Versions counted; each costs some hundred bytes."""


class VersionView(Struct, kw_only=True):
    """One version; ``active`` and ``hung`` stand so now, the others are all that there were."""

    version: str | None
    sessions: int
    active: int
    hung: int
    ended: int
    crashed: int
    lost: int
    last_seen: str


class ProductView(Struct, kw_only=True):
    """One product; ``last_seen``, to the second, is when anything of it last came. Lists have the latest first."""

    product: str | None
    sessions: int
    active: int
    hung: int
    ended: int
    crashed: int
    lost: int
    last_seen: str
    environments: list[str | None]
    versions: list[VersionView]


def products(reader: Reader) -> list[ProductView]:
    """Every product, the one last heard of first."""
    deployments = sorted(reader.deployments(Scope()), key=lambda each: each.last_seen, reverse=True)
    counts: dict[tuple[str | None, str | None], SessionCount] = {
        (count.product, count.version): count
        for count in reader.session_counts(Scope(), None, frozenset({"product", "version"}), _MOST)
    }
    groups: dict[str | None, list[Deployment]] = {}
    for each in deployments:
        # What a session was called before it was called otherwise has none.
        if (each.product, each.version) in counts:
            groups.setdefault(each.product, []).append(each)
    return [_product(product, of_it, counts) for product, of_it in groups.items()]


def _product(
    product: str | None,
    deployments: list[Deployment],
    counts: dict[tuple[str | None, str | None], SessionCount],
) -> ProductView:
    seen: dict[str | None, int] = {}
    for each in deployments:
        seen.setdefault(each.version, each.last_seen)
    return ProductView(
        product=product,
        **_sums(counts[product, version] for version in seen),
        last_seen=rfc3339(deployments[0].last_seen),
        environments=list(dict.fromkeys(each.environment for each in deployments)),
        versions=[
            VersionView(version=version, **_sums([counts[product, version]]), last_seen=rfc3339(last_seen))
            for version, last_seen in seen.items()
        ],
    )


def _sums(counts: Iterable[SessionCount]) -> dict[str, int]:
    every = list(counts)
    return {
        "sessions": sum(each.sessions for each in every),
        "active": sum(each.active for each in every),
        "hung": sum(each.hung_now for each in every),
        "ended": sum(each.ended for each in every),
        "crashed": sum(each.crashed for each in every),
        "lost": sum(each.lost for each in every),
    }
