"""The format version of messages between our own processes: a reader that does not know it stops, and loses nothing.

A message of a shop with an unknown version is the shop's mistake and is refused; one of ours was written by newer code.
"""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from contracts.errors import UnknownFormat


class InternalMessage(BaseModel):
    """A message that one process of ours writes and another reads.

    Attributes:
        schema_version: Moves with any change that older code would misread; what lacks it is of version 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    known_versions: ClassVar[tuple[int, ...]] = (1,)
    if_unknown: ClassVar[str] = "bring this process up to that code; what it has not read waits in the log"

    schema_version: Literal[1] = 1

    @model_validator(mode="before")
    @classmethod
    def _known(cls, fields: Any) -> Any:
        found = fields.get("schema_version", 1) if isinstance(fields, dict) else 1
        if found not in cls.known_versions:
            raise UnknownFormat(
                f"found a {cls.__name__} of format {found!r}; expected one of {list(cls.known_versions)}; newer code "
                f"has written it: {cls.if_unknown}"
            )
        return fields
