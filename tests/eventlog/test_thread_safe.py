"""Two clients of one process meet while a decoder is compiled: it must work for both, and for good."""

import threading
import time
import weakref
from typing import Any

import pytest
from kafka.protocol.consumer import OffsetFetchResponse
from kafka.protocol.schemas.fields.struct import StructField

from eventlog.thread_safe import make_thread_safe


def test_a_decoder_that_two_threads_compile_at_once_works(monkeypatch: pytest.MonkeyPatch) -> None:
    make_thread_safe()
    struct, emit = OffsetFetchResponse._struct, StructField.emit_decode_from
    monkeypatch.setattr(struct, "_compiled_encoders", {})

    def slow(self: Any, *arguments: Any, **named: Any) -> Any:
        time.sleep(0.1 if self is struct else 0.0)
        return emit(self, *arguments, **named)

    monkeypatch.setattr(StructField, "emit_decode_from", slow)
    compiled: list[Any] = []

    def compile_it() -> None:
        compiled.append(struct.compiled_decode_from(8, compact=True, tagged=True, data_class=OffsetFetchResponse[None]))

    threads = [threading.Thread(target=compile_it) for _ in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)  # the second begins while the first compiles, and ends after it
    for thread in threads:
        thread.join()
    classes = [value for decoder in compiled for value in decoder.__globals__.values()]
    assert len(compiled) == 2
    assert not any(isinstance(value, weakref.ProxyTypes) for value in classes)
