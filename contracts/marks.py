"""Marks in the feature store: "all rows of this partition have been written". A store that lost its rows lost them too.

The streams write a mark once every row of the partition's state is in the store; while one is missing, rows are.
"""

from contracts.topics import EVENTS, ITEM_TOUCHES


def mark_of(table: str, partition: int) -> str:
    """The mark of a partition: of `users` by their events in topic `events`, of `items` by those in `item-touches`."""
    return f"{table}/{partition}"


USERS_MARKS = tuple(mark_of("users", partition) for partition in range(EVENTS.partitions))
ITEMS_MARKS = tuple(mark_of("items", partition) for partition in range(ITEM_TOUCHES.partitions))
