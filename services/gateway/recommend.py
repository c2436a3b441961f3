"""The request path: features -> candidates -> merge and filter -> rank -> answer -> log the impression.

It is read from top to bottom. No part is waited for beyond its share of the deadline, and none is needed: what is
missing is named in the answer, and the page is filled in the order personal, items of the moment, popular in the
category, trending, anything in stock.
"""

from contracts.ids import ItemId
from contracts.requests import Answer, RecommendationRequest
from services.gateway import steps
from services.gateway.parts import GatewayParts
from services.gateway.run import Run
from services.retrieval.filters import Rules
from services.retrieval.merge import merge

FEATURES_BY = 0.3
CANDIDATES_BY = 0.75
RANKED_BY = 1.0
"""Shares of the deadline by which a stage must be done."""


async def recommend(parts: GatewayParts, request: RecommendationRequest) -> Answer:
    """Answers one request for recommendations."""
    run = Run("recommendations", parts.clock(), parts.settings.request_deadline_ms)
    steps.note_the_state_of_the_system(parts, run)

    with run.stage("features"):
        user = await steps.user_features(parts, run, request.user_id, run.left_s(FEATURES_BY))
        query = steps.query_for(parts, run, user, request.similar_to, request.category)

    with run.stage("candidates"):
        proposed = await steps.candidates(parts, run, query, run.left_s(CANDIDATES_BY))

    with run.stage("merge"):
        rules = Rules(
            excluded=frozenset(request.exclude) | frozenset(request.similar_to),
            bought=frozenset(map(ItemId, user.purchased_items)) if user and request.exclude_purchased else frozenset(),
            in_stock_only=request.in_stock_only,
            category=request.category,
        )
        kept = steps.keep_and_fill(parts, merge(proposed), rules, user, request.limit)

    with run.stage("rank"):
        ranked, version = await steps.rank(parts, run, query, kept, run.left_s(RANKED_BY))

    with run.stage("answer"):
        shown = ranked[: request.limit]
        items = await steps.ranked_items(parts, query, shown, request.explain)
        answer = steps.answer(run, items, version, user)

    with run.stage("log"):
        steps.log_impression(parts, run, request, answer, user)

    return steps.finished(parts, run, answer, user)
