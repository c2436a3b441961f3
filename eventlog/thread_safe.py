"""kafka-python's decoders, made safe for several clients in one process.

kafka-python 3.0.12 compiles the decoder of a message at its first use, and swaps a field of the shared class while it
does. Two threads that meet there leave a decoder that fails for the rest of the process ("object.__new__(X): X is not a
type object"): every later answer of that kind is an unhandled exception in the client's loop, and its caller times out.
"""

import threading
from collections.abc import Callable
from typing import Any

from kafka.protocol.schemas.fields.struct import StructField

_compiling = threading.RLock()
_original: Callable[..., Any] = StructField.compiled_decode_from


def make_thread_safe() -> None:
    """Lets one thread at a time compile a decoder; called before a client is made, any number of times."""
    StructField.compiled_decode_from = _compiled_decode_from


def _compiled_decode_from(
    struct: Any, version: int, compact: bool = False, tagged: bool = False, data_class: Any = None
) -> Any:
    with _compiling:
        return _original(struct, version, compact, tagged, data_class)
