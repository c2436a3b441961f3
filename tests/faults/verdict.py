"""What came out of a fleet beside the truth: the pure fold of the log, as one undisturbed worker does it.

User states, item states and examples are compared byte for byte; what the log acknowledged must be in it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from contracts.clock import utc_now
from contracts.examples import TrainingExample
from contracts.ids import EventId, ItemId, UserId
from contracts.interactions import ItemTouch, ItemTouches
from contracts.ports import LoggedMessage
from contracts.topics import DEAD_LETTERS, EVENTS, FEEDBACK, ITEM_TOUCHES, Topic
from contracts.wire import decode, decode_user_event, encode
from eventlog.tail import read_whole
from feature_repo.online import FeastStore
from streams.changelog import REBUILT
from streams.changelogs import ITEM_STATES, USERS, changelog_topic
from streams.state import item_features, user_features
from streams.state.admission import Place
from streams.state.decay import Decayed
from streams.state.item_features import ItemFeatureState
from streams.state.rules import Rules
from streams.state.user_state import UserState, step
from tests.faults.fleet import Fleet, Load

READ_WITHIN_S = 600.0
"""A soak's topics hold a million messages each."""

ENCODER = msgspec.msgpack.Encoder()


@dataclass
class Verdict:
    """Differences, empty when all is well.

    Attributes:
        events: Events in the log.
        lost: Acknowledged events that are not in the log.
        users, items, examples: Keys that differ from the truth.
        rows: Users whose row in the online store is not that of their state.
        dead: Dead letters.
        touches_lost: Items whose touches in `item-touches` lack some that the truth has.
    """

    events: int = 0
    lost: list[EventId] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    dead: int = 0
    touches_lost: list[str] = field(default_factory=list)

    def differences(self) -> dict[str, object]:
        """What differs, a few of each kind."""
        lists = {
            "lost": self.lost, "users": self.users, "items": self.items, "examples": self.examples, "rows": self.rows,
            "touches_lost": self.touches_lost,
        }  # fmt: skip
        found: dict[str, object] = {name: (len(keys), keys[:3]) for name, keys in lists.items() if keys}
        return found | ({"dead": self.dead} if self.dead else {})


@dataclass
class Truth:
    """The pure fold of `events`: states by (partition, user), examples by id, touches by item."""

    states: dict[tuple[int, UserId], UserState] = field(default_factory=dict)
    examples: dict[str, bytes] = field(default_factory=dict)
    touches: dict[ItemId, set[tuple[int, int]]] = field(default_factory=dict)
    ids: set[EventId] = field(default_factory=set)


def truth_of(events: Iterable[LoggedMessage], rules: Rules) -> Truth:
    """Folds the log in the order of its partitions."""
    truth = Truth()
    for message in events:
        event = decode_user_event(message.value, utc_now())
        truth.ids.add(event.event_id)
        key = (message.partition, event.user_id)
        one = step(truth.states.get(key, UserState()), event, None, Place(message.partition, message.offset), rules)
        truth.states[key] = one.state
        truth.examples |= {example.example_id: encode(example) for example in one.examples}
        for item_id, touch in one.touches:
            truth.touches.setdefault(item_id, set()).add((touch.source_partition, touch.source_offset))
    return truth


def judge(fleet: Fleet, load: Load, store: FeastStore | None = None, exact_items: bool = True) -> Verdict:
    """Compares a fleet that has caught up.

    Args:
        fleet: The fleet.
        load: What was sent.
        store: The online store that the workers wrote; None to leave it out.
        exact_items: Compare items byte for byte. A rebuild publishes the touches anew, and those of several partitions
            meet in another order: sums of floats then differ in their last digits.
    """
    bootstrap, rules = fleet.cluster.bootstrap, Rules()
    events = _all_of(bootstrap, EVENTS)
    truth = truth_of(events, rules)
    verdict = Verdict(events=len(events), lost=sorted(load.acknowledged - truth.ids))

    states = _newest(bootstrap, changelog_topic(fleet.app_id, USERS), EVENTS)
    expected = {user: ENCODER.encode((partition, state)) for (partition, user), state in truth.states.items()}
    verdict.users = _differing(states, expected)

    told: dict[str, bytes] = {}
    for message in _all_of(bootstrap, FEEDBACK):
        example = decode(TrainingExample, message.value)
        told[example.example_id] = encode(example)
    verdict.examples = _differing(told, truth.examples)

    items: dict[ItemId, ItemFeatureState] = {}
    places: dict[ItemId, set[tuple[int, int]]] = {}
    partitions: dict[ItemId, int] = {}
    for message in _all_of(bootstrap, ITEM_TOUCHES):
        touched = decode(ItemTouches, message.value)
        partitions[touched.item_id] = message.partition
        for touch in touched.touches:
            places.setdefault(touched.item_id, set()).add(_place(touch))
            state = items.get(touched.item_id, ItemFeatureState())
            items[touched.item_id] = item_features.fold(state, touch, rules)[0]
    verdict.touches_lost = [item for item, wanted in truth.touches.items() if places.get(item, set()) != wanted]
    item_states = _newest(bootstrap, changelog_topic(fleet.app_id, ITEM_STATES), ITEM_TOUCHES)
    verdict.items = _differing(
        item_states, {item: ENCODER.encode((partitions[item], state)) for item, state in items.items()}
    )
    if not exact_items:
        verdict.items = [item for item in verdict.items if not _alike(item_states.get(item), items.get(ItemId(item)))]
    verdict.dead = len(_all_of(bootstrap, DEAD_LETTERS))
    if store is not None:
        for (_, user), state in truth.states.items():
            if state.features.row_us and store.read_user(user) != user_features.row(state.features, rules):
                verdict.rows.append(user)
    return verdict


def _alike(found: bytes | None, expected: ItemFeatureState | None) -> bool:
    if found is None or expected is None:
        return False
    _, state = msgspec.msgpack.decode(found, type=tuple[int, ItemFeatureState])
    same = ("marks", "impressions", "views", "clicks", "carts", "purchases", "last_event_ms")
    if any(getattr(state, name) != getattr(expected, name) for name in same):
        return False
    sums = [(state.trend, expected.trend)] + [
        (state.co_visits[name], expected.co_visits.get(name, Decayed())) for name in state.co_visits
    ]
    return state.co_visits.keys() == expected.co_visits.keys() and all(
        math.isclose(one.weight, other.weight, rel_tol=1e-9) and one.at_ms == other.at_ms for one, other in sums
    )


def _place(touch: ItemTouch) -> tuple[int, int]:
    return touch.source_partition, touch.source_offset


def _differing(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    return sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))


def _newest(bootstrap: str, name: str, source: Topic) -> dict[str, bytes]:
    topic = Topic(name, "", "", source.partitions, None, "", ())
    newest = {message.key: message.value for message in _all_of(bootstrap, topic)}
    return {key.decode(): value for key, value in newest.items() if key and key != REBUILT and value is not None}


def _all_of(bootstrap: str, topic: Topic) -> list[LoggedMessage]:
    messages = read_whole(bootstrap, topic, READ_WITHIN_S)
    return sorted(messages, key=lambda message: (message.partition, message.offset))
