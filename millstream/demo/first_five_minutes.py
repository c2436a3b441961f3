"""A visitor's first five minutes, step by step, against the running shop. Each step asserts what a visitor would see.

Numbered as in the summary: 1 open, 2 search by text, 3 search by picture, 4 three clicks change the list, 5 why,
6 a new
product's photo is found, 7 the weights change, 8 a dependency dies and answers say so, 9 it recovers.
"""

import base64
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from contracts.catalogue import Item
from contracts.clock import utc_now
from contracts.errors import StackError
from contracts.events import EventKind
from contracts.ids import EventId, ItemId, UserId, time_ordered_id
from contracts.requests import Answer, Degradation, ItemRequest
from contracts.settings import Settings
from millstream.demo.pictures.draw import draw
from millstream.demo.shop import Shop
from millstream.stack.state import require_stack

Seen = TypeVar("Seen")
SEARCH_WORDS = ("strawberry yogurt", "yogurt")
ANSWERED_WITHIN_S = 10.0
FELT_WITHIN_S = 10.0
FOUND_WITHIN_S = 30.0
LEARNED_WITHIN_S = 90.0
DEGRADED_WITHIN_S = 30.0
RECOVERED_WITHIN_S = 60.0


class StepDidNotHappen(StackError):
    """A step of the script was not seen. The message names the step, what was found and what was expected."""


@dataclass
class FirstFiveMinutes:
    """The script. `notes` holds one line a step that happened."""

    settings: Settings
    shop: Shop
    items: dict[ItemId, Item]
    pictures: dict[ItemId, bytes]
    say: Callable[[str], None]
    notes: list[str] = field(default_factory=list)
    _visitor: UserId = field(default_factory=lambda: UserId(time_ordered_id("visitor", utc_now())))
    _clicked: list[EventId] = field(default_factory=list)

    def run(self) -> list[str]:
        """Runs all steps in order. Raises StepDidNotHappen at the first that does not."""
        steps = (
            self.open_the_shop, self.search_by_text, self.search_by_picture, self.click_three_items, self.ask_why,
            self.find_a_new_photo, self.see_the_weights_change, self.lose_the_vector_index, self.see_it_recover,
        )  # fmt: skip
        for number, step in enumerate(steps, start=1):
            name = step.__name__.replace("_", " ")
            try:
                note = step()
            except StepDidNotHappen as error:
                raise StepDidNotHappen(f"step {number} ({name}) did not happen: {error}") from error
            except StackError as error:
                raise StepDidNotHappen(f"step {number} ({name}) failed: {error}") from error
            self.notes.append(f"{number}. {name}: {note}")
            self.say(f"  {self.notes[-1]}")
        return self.notes

    def open_the_shop(self) -> str:
        """The page is there, and a picture of the first list shows."""
        page = self.shop.read("/")
        if "<html" not in page.text.lower():
            raise StepDidNotHappen(f"found {page.text[:80]!r} at /; expected an HTML page")
        answer = self.shop.recommend(self._visitor)
        pictures = [item.item.picture for item in answer.items if item.item.picture]
        if not pictures:
            raise StepDidNotHappen(f"found {len(answer.items)} items without pictures; expected pictures")
        size = len(self.shop.read(f"/v1/pictures/{pictures[0]}").content)
        return f"{len(answer.items)} items for a newcomer, first picture {size} bytes"

    def search_by_text(self) -> str:
        """Words find the product they name."""
        words, expected = SEARCH_WORDS
        titles = self._until(
            lambda: [item.item.title for item in self.shop.search(text=words).items[:5]],
            lambda seen: any(expected in title.lower() for title in seen),
            ANSWERED_WITHIN_S,
            f"a title with {expected!r} among the first five for {words!r}",
        )
        return f"{words!r} finds {titles[0]!r}"

    def search_by_picture(self) -> str:
        """A product's own picture finds it."""
        wanted = next(iter(self.pictures))
        found = self._until(
            lambda: [item.item_id for item in self.shop.search(picture=self.pictures[wanted]).items[:5]],
            lambda seen: wanted in seen,
            ANSWERED_WITHIN_S,
            f"{wanted} among the first five for its own picture",
        )
        return f"the picture of {self.items[wanted].title!r} finds it at place {found.index(wanted) + 1}"

    def click_three_items(self) -> str:
        """Each click is in the next answers within seconds, and the list is another one than before."""
        first = answer = self.shop.recommend(self._visitor)
        seconds = []
        for place in range(3):
            choice = answer.items[min(place, len(answer.items) - 1)]
            started = time.monotonic()
            event = self.shop.post_event(EventKind.CLICK, self._visitor, choice.item_id, answer.request_id)
            self._clicked.append(event)
            answer = self._until(
                lambda: self.shop.recommend(self._visitor),
                partial(_made_with, event),
                FELT_WITHIN_S,
                f"an answer made with the click {event}",
            )
            seconds.append(time.monotonic() - started)
        before, after = [i.item_id for i in first.items], [i.item_id for i in answer.items]
        if before == after:
            raise StepDidNotHappen("found the same list after three clicks; expected another one")
        new = len(set(after) - set(before))
        felt = ", ".join(f"{one:.2f} s" for one in seconds)
        return f"felt after {felt}; {new} of {len(after)} items are new in the list"

    def ask_why(self) -> str:
        """Every item of an explained answer has reasons."""
        answer = self.shop.recommend(self._visitor, explain=True)
        without = [item.item_id for item in answer.items if not item.reasons]
        if without or not answer.items:
            raise StepDidNotHappen(
                f"found no reasons for {without} of {len(answer.items)} items; expected some for each"
            )
        return f"{answer.items[0].item.title!r}: {'; '.join(answer.items[0].reasons)[:140]}"

    def find_a_new_photo(self) -> str:
        """A product put by the API with its photo is found by that photo, and by its name."""
        item = Item(
            item_id=ItemId(time_ordered_id("new", utc_now())), title="Dragonfruit Lychee Sorbet, 1 pint",
            category="Ice Cream",
            brand="Lantern Lane", price_cents=499, attributes={"name": "Dragonfruit Lychee Sorbet", "size": "1 pint"},
        )  # fmt: skip
        photo = draw(item)
        started = time.monotonic()
        self.shop.put_item(
            item.item_id,
            ItemRequest(
                title=item.title, category=item.category, brand=item.brand, price_cents=item.price_cents,
                attributes=item.attributes, picture_base64=base64.b64encode(photo).decode(),
            ),
        )  # fmt: skip

        def holds(seen: Answer) -> bool:
            return item.item_id in [found.item_id for found in seen.items[:5]]

        self._until(
            lambda: self.shop.search(picture=photo), holds, FOUND_WITHIN_S, f"{item.title!r} found by its photo"
        )
        by_photo_s = time.monotonic() - started
        self._until(
            lambda: self.shop.search(text="dragonfruit sorbet"),
            holds,
            FOUND_WITHIN_S,
            f"{item.title!r} found by its name",
        )
        self.shop.delete_item(item.item_id)
        return f"found by its photo {by_photo_s:.1f} s after it was put"

    def see_the_weights_change(self) -> str:
        """A version that learned from the visitor's click answers."""

        def asked() -> float | None:
            self.shop.recommend(self._visitor)
            return self.shop.trace(self._clicked[-1]).click_to_weights_s

        seconds = self._until(
            asked, lambda seen: seen is not None, LEARNED_WITHIN_S, "an answer by weights that learned from the click"
        )
        ranked = self.shop.trace(self._clicked[-1]).click_to_ranking_s
        return (
            f"the last click changed the ranking after {ranked or 0:.2f} s and the weights after {seconds or 0:.1f} s"
        )

    def lose_the_vector_index(self) -> str:
        """With the vector index killed, answers go on and say that they are degraded."""
        pid = require_stack(self.settings).process("vectors").pid
        if pid is None:
            raise StepDidNotHappen("found no running vector index; expected one to kill")
        self._until(
            lambda: self.shop.recommend(self._visitor),
            lambda seen: Degradation.VECTORS not in seen.degraded_reasons,
            RECOVERED_WITHIN_S,
            "an answer with the vector index before it is killed",
            patient=False,
        )
        os.kill(pid, signal.SIGKILL)
        started = time.monotonic()
        answer = self._until(
            lambda: self.shop.recommend(self._visitor),
            lambda seen: Degradation.VECTORS in seen.degraded_reasons,
            DEGRADED_WITHIN_S,
            f"an answer flagged {Degradation.VECTORS.value}",
            patient=False,
        )
        if not answer.items:
            raise StepDidNotHappen("found an empty degraded answer; expected items from the other sources")
        after_s = time.monotonic() - started
        return f"{len(answer.items)} items, flagged {Degradation.VECTORS.value} {after_s:.1f} s after the kill"

    def see_it_recover(self) -> str:
        """The supervisor brings it back, and answers are whole again."""
        started = time.monotonic()
        self._until(
            lambda: self.shop.recommend(self._visitor),
            lambda seen: Degradation.VECTORS not in seen.degraded_reasons,
            RECOVERED_WITHIN_S,
            "an answer without degradation",
            patient=False,
        )
        return f"whole again after {time.monotonic() - started:.1f} s"

    def _until(
        self,
        look: Callable[[], Seen],
        wanted: Callable[[Seen], bool],
        within_s: float,
        expected: str,
        *,
        patient: bool = True,
    ) -> Seen:
        deadline = time.monotonic() + within_s
        while True:
            refused = ""
            try:
                seen = look()
                if wanted(seen):
                    return seen
                found = str(seen.degraded_reasons if isinstance(seen, Answer) else seen)
            except StackError as error:  # Search answers 503 while a part that it cannot do without is away.
                if not patient:
                    raise
                found = refused = str(error)
            if time.monotonic() > deadline:
                raise StepDidNotHappen(f"found {found[:300]} after {within_s:.0f} s; expected {expected}")
            time.sleep(0.5 if refused else 0.05)


def _made_with(event: EventId, seen: Answer) -> bool:
    return seen.features.last_event_id == event
