"""However the log is cut into batches, the agent comes to the same states and tells the same."""

import asyncio
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.interactions import ItemTouches
from contracts.topics import FEEDBACK, ITEM_TOUCHES
from contracts.wire import decode
from tests.properties.test_folds import EVENTS
from tests.streams.doubles import Rig
from tests.streams.shop import logged


async def _played(messages: list[object], cuts: list[int]) -> tuple[object, ...]:
    rig = Rig()
    edges = [0, *sorted(cuts), len(messages)]
    for start, end in itertools.pairwise(edges):
        if batch := messages[start:end]:
            await rig.user_agent.process(0, batch)  # type: ignore[arg-type]
    touches: dict[str, list[str]] = {}
    for message in rig.log.messages(ITEM_TOUCHES):
        touched = decode(ItemTouches, message.value)
        touches.setdefault(touched.item_id, []).extend(one.model_dump_json() for one in touched.touches)
    return rig.users.rows(), [message.value for message in rig.log.messages(FEEDBACK)], touches


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENTS, max_size=25), st.data())
def test_any_cut_into_batches_gives_the_same_states_examples_and_touches(events, choose) -> None:  # type: ignore[no-untyped-def]
    messages = [logged(event, offset) for offset, event in enumerate(events)]
    cuts = choose.draw(st.lists(st.integers(0, len(messages)), max_size=6))
    assert asyncio.run(_played(messages, cuts)) == asyncio.run(_played(messages, []))
