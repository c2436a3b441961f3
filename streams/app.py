"""The Faust application: the worker's life, its agents over channels, its timers; the log is read by `streams.group`.

Faust's own consumer, producer and tables are left out (docs/adr/0007): its boot strategy starts the agents alone.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.app.base import BootStrategy

from contracts.settings import Settings


class AgentsOnly(BootStrategy):  # type: ignore[misc]
    """Starts sensors and agents; no Kafka client and no web server of Faust's."""

    enable_kafka = False
    enable_web = False


class StreamsApp(faust.App):  # type: ignore[misc]
    """A Faust app without a transport.

    Attributes:
        after_start: Called once the agents run: joins the group.
        before_stop: Called first of all when the worker stops: leaves it.
    """

    BootStrategy = AgentsOnly
    after_start: Callable[[], Awaitable[None]] | None = None
    before_stop: Callable[[], Awaitable[None]] | None = None

    async def on_start(self) -> None:
        """Called by Faust at the start; its own builds a consumer here."""
        self.finalize()

    async def on_started(self) -> None:
        """Called by Faust once its services run."""
        await super().on_started()
        self.flow_control.resume()  # channels are closed until a consumer has partitions, and there is none
        if self.after_start is not None:
            await self.after_start()

    async def on_stop(self) -> None:
        """Called by Faust first of all when the worker stops."""
        if self.before_stop is not None:
            await self.before_stop()
        await super().on_stop()


def create_app(settings: Settings) -> StreamsApp:
    """The application; no agent is registered here.

    Args:
        settings: The app's id and directories.
    """
    settings.streams_dir.mkdir(parents=True, exist_ok=True)
    return StreamsApp(
        settings.app_id,
        broker="kafka://127.0.0.1:1",  # never dialled: see `AgentsOnly`
        store="memory://",
        datadir=str(settings.streams_dir / "faust"),
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        # A full channel holds a lane back; each lane has one batch under way.
        stream_buffer_maxsize=64,
    )


def channel_agent(app: StreamsApp, name: str) -> Callable[[Any], Awaitable[None]]:
    """A Faust agent that starts the batches sent to it; returns what sends one.

    One actor is enough: batches of several partitions run side by side, and each lane has one under way.
    """
    channel = app.channel()

    async def start_batches(batches: faust.Stream) -> None:
        async for batch in batches:
            batch.start()

    app.agent(channel, name=name)(start_batches)

    async def send(batch: Any) -> None:
        await channel.send(value=batch)

    return send
