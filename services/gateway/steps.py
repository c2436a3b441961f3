"""The steps that recommendations and search share; each does one thing of the flow and notes what it missed."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import chain, islice

from contracts.errors import FeaturesUnavailable, NoModel
from contracts.events import ITEM_INTERACTIONS, EventKind, ImpressedItem, Impression
from contracts.features import HISTORY_LENGTH, UserFeatures
from contracts.ids import EventId, ItemId, ModelVersion, UserId
from contracts.requests import (
    Answer,
    Degradation,
    FeatureState,
    ItemCard,
    RankedItem,
    RecommendationRequest,
    SearchRequest,
    Source,
)
from contracts.topics import EVENTS
from contracts.wire import encode
from services import metrics
from services.gateway.log_writer import Outgoing
from services.gateway.parts import GatewayParts
from services.gateway.run import Run
from services.ranking.likeness import most_similar
from services.ranking.ranker import Ranked, by_merge, by_model
from services.ranking.reasons import Grounds, reasons
from services.ranking.slot import LoadedModel
from services.retrieval.candidates import CONTEXT_ITEMS, Candidate, CandidateSource, Found, Merged, Query
from services.retrieval.filters import Rules, keep
from training.model.serving import History

log = logging.getLogger(__name__)

FAILED = {
    Source.MODEL: Degradation.RANKING,
    Source.CONTENT: Degradation.VECTORS,
    Source.TEXT: Degradation.VECTORS,
    Source.PICTURE: Degradation.VECTORS,
}
"""What is missing when a source fails; the others need no engine but their own memory."""

RANKED_CANDIDATES = 200
"""Merged candidates that the ranking heads score, the best of the merge."""

Proposed = list[tuple[Source, list[Candidate]]]


def note_the_state_of_the_system(parts: GatewayParts, run: Run) -> None:
    """Notes what the answer must admit before anything is asked: stale processes, lost vectors, no catalogue."""
    run.miss(parts.liveness.stale(run.at))
    if parts.vector_watch.refilling:
        run.miss([Degradation.VECTORS_REFILLING])
    if not len(parts.view):
        run.miss([Degradation.EMPTY_CATALOGUE])


async def user_features(parts: GatewayParts, run: Run, user_id: UserId | None, timeout_s: float) -> UserFeatures | None:
    """The user's row; None for an anonymous or unknown user, and while the feature store is away or lost the row."""
    if user_id is None:
        return None
    try:
        user = await parts.feature_calls.call(timeout_s, parts.adapters.features.read_user, user_id)
    except FeaturesUnavailable:
        run.miss([Degradation.FEATURES])
        return None
    if user is None and parts.refill.users:
        run.miss([Degradation.REFILLING])
    return user


def query_for(
    parts: GatewayParts, run: Run, user: UserFeatures | None, of_the_moment: Sequence[ItemId], category: str | None
) -> Query:
    """The request as the candidate sources see it."""
    known = [item_id for item_id in dict.fromkeys(of_the_moment) if parts.view.item(item_id) is not None]
    history = _history(user, known, run.now_ms)
    newest_first = dict.fromkeys([*known, *reversed(history.items)])
    return Query(
        history=history,
        user=user,
        context=tuple(islice(newest_first, CONTEXT_ITEMS)),
        category=category,
        limit=parts.settings.candidates_per_source,
        now_ms=run.now_ms,
    )


async def candidates(parts: GatewayParts, run: Run, query: Query, timeout_s: float) -> Proposed:
    """Asks all sources side by side; a source that is late or fails is left out."""
    found = await asyncio.gather(*(_ask(source, query, timeout_s) for source in parts.sources))
    for source, answer in zip(parts.sources, found, strict=True):
        run.miss(answer.missing)
        metrics.CANDIDATES.labels(source=source.name.value).inc(len(answer.candidates))
    return [(source.name, answer.candidates) for source, answer in zip(parts.sources, found, strict=True)]


def keep_and_fill(
    parts: GatewayParts, merged: list[Merged], rules: Rules, user: UserFeatures | None, limit: int
) -> list[Merged]:
    """The candidates that may be shown, filled up from what is popular, then from anything in stock.

    Only a page that would be empty shows what the user has bought.
    """
    kept, dropped = keep(merged, rules, parts.view.item)
    for reason, count in dropped.items():
        metrics.DROPPED.labels(reason=reason.value).inc(count)
    kept = _filled(parts, kept[:RANKED_CANDIDATES], rules, user, limit)
    if not kept and rules.bought:
        again = Rules(rules.excluded, frozenset(), rules.in_stock_only, rules.category)
        kept = _filled(parts, kept, again, user, limit)
    return kept


async def rank(
    parts: GatewayParts, run: Run, query: Query, kept: list[Merged], timeout_s: float
) -> tuple[list[Ranked], ModelVersion | None]:
    """Ranks by the model, or by the merge while there is none; the version is None when no model ranked."""
    try:
        loaded = parts.slot.current()
    except NoModel:
        run.miss([Degradation.MODEL])
        return by_merge(kept), None
    if not kept:
        return [], loaded.version.version
    loop = asyncio.get_running_loop()
    ranking = loop.run_in_executor(
        parts.compute, by_model, loaded, query.history, query.user, kept, parts.view.features, query.now_ms
    )
    try:
        return await asyncio.wait_for(ranking, timeout_s), loaded.version.version
    except TimeoutError:
        log.warning("ranking %d candidates took longer than %.3f s; the merge's order is used", len(kept), timeout_s)
    except Exception:
        log.exception("version %s failed to rank; the merge's order is used", loaded.version.version)
    run.miss([Degradation.RANKING])
    return by_merge(kept), None


async def ranked_items(parts: GatewayParts, query: Query, shown: Sequence[Ranked], explain: bool) -> list[RankedItem]:
    """The answer's items with their cards, and with reasons when they are asked for."""
    grounds = Grounds(
        query, parts.view.item, parts.view.features, await _likeness(parts, query, shown) if explain else {}
    )
    items: list[RankedItem] = []
    for place in shown:
        item = parts.view.item(place.candidate.item_id)
        if item is None:  # deleted while this answer was made
            continue
        items.append(
            RankedItem(
                item_id=item.item_id,
                position=len(items),
                score=place.score,
                sources=list(place.candidate.sources),
                reasons=reasons(item, place.candidate.sources, grounds) if explain else [],
                item=ItemCard.model_validate(item, from_attributes=True),
            )
        )
    return items


def answer(run: Run, items: list[RankedItem], version: ModelVersion | None, user: UserFeatures | None) -> Answer:
    """Puts the answer together; its degradations and times are filled in by `finished`."""
    return Answer(
        request_id=run.request_id,
        model_version=version,
        items=items,
        degraded=False,
        degraded_reasons=[],
        features=_feature_state(user, run.now_ms),
        stage_ms={},
        at=run.at,
    )


def log_impression(
    parts: GatewayParts,
    run: Run,
    request: RecommendationRequest | SearchRequest,
    made: Answer,
    user: UserFeatures | None,
) -> None:
    """Writes what is shown, and by which state of the user's row, to the log.

    An anonymous answer has no user to learn from and is not written.
    """
    user_id = request.user_id
    if user_id is None or not made.items:
        return
    impression = Impression(
        at=run.at,
        user_id=user_id,
        session_id=request.session_id,
        request_id=made.request_id,
        surface=run.flow,
        model_version=made.model_version,
        features_event_count=None if user is None else user.event_count,
        items=tuple(
            ImpressedItem(
                item_id=item.item_id, position=item.position, score=item.score, sources=tuple(map(str, item.sources))
            )
            for item in made.items
        ),
    )
    if not parts.log.send(Outgoing(EVENTS, user_id, encode(impression))) or not parts.log.available:
        run.miss([Degradation.LOG])


def finished(parts: GatewayParts, run: Run, made: Answer, user: UserFeatures | None) -> Answer:
    """Counts the answer, stamps the traces that end with it, and says how it was made."""
    run.done()
    if made.features.age_s is not None:
        metrics.FEATURE_AGE_SECONDS.observe(made.features.age_s)
    parts.traces.answered(run.request_id, made.model_version, user.recent_event_ids if user else (), parts.clock())
    return made.model_copy(
        update={"degraded": bool(run.missing), "degraded_reasons": run.missing, "stage_ms": run.stage_ms}
    )


def _history(user: UserFeatures | None, of_the_moment: Sequence[ItemId], now_ms: int) -> History:
    rows: list[tuple[ItemId, EventKind, int]] = []
    if user is not None:
        rows = [
            (ItemId(item_id), EventKind(kind), at_ms)
            for item_id, kind, at_ms in zip(user.recent_items, user.recent_kinds, user.recent_times_ms, strict=True)
            if kind in ITEM_INTERACTIONS
        ]
    rows += [(item_id, EventKind.VIEW, now_ms) for item_id in reversed(of_the_moment)]
    rows = rows[-HISTORY_LENGTH:]
    return History(
        items=tuple(item_id for item_id, _, _ in rows),
        kinds=tuple(kind for _, kind, _ in rows),
        times_ms=tuple(at_ms for _, _, at_ms in rows),
    )


async def _ask(source: CandidateSource, query: Query, timeout_s: float) -> Found:
    missing = FAILED.get(source.name, Degradation.SOURCE)
    try:
        return await asyncio.wait_for(source.find(query), timeout_s)
    except TimeoutError:
        log.warning("the source %s gave nothing within %.3f s", source.name, timeout_s)
    except Exception:
        log.exception("the source %s failed", source.name)
    return Found([], frozenset({missing}))


def _filled(
    parts: GatewayParts, kept: list[Merged], rules: Rules, user: UserFeatures | None, limit: int
) -> list[Merged]:
    missing = limit - len(kept)
    if missing <= 0:
        return kept
    seen = {candidate.item_id for candidate in kept}
    floor = kept[-1].score if kept else 0.0
    own = [parts.view.popular(category) for category in (user.category_names if user else ())]
    filled: list[Merged] = []
    for item_id in chain(*own, parts.view.popular(rules.category)):
        if item_id not in seen and rules.refusal(item_id, parts.view.item(item_id)) is None:
            seen.add(item_id)
            filled.append(Merged(item_id, floor - (len(filled) + 1) / 1000, (Source.TRENDING,)))
        if len(filled) == missing:
            break
    return kept + filled


async def _likeness(parts: GatewayParts, query: Query, shown: Sequence[Ranked]) -> dict[ItemId, tuple[ItemId, float]]:
    try:
        loaded: LoadedModel = parts.slot.current()
    except NoModel:
        return {}
    ids = [place.candidate.item_id for place in shown]
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(parts.compute, most_similar, loaded, ids, query.context)


def _feature_state(user: UserFeatures | None, now_ms: int) -> FeatureState:
    if user is None or not user.last_event_ms:
        return FeatureState()
    return FeatureState(
        events_in_history=len(user.recent_items),
        last_event_id=EventId(user.recent_event_ids[-1]) if user.recent_event_ids else None,
        age_s=max(0.0, (now_ms - user.last_event_ms) / 1000),
    )
