"""The deployment `Gateway`: a replica is the API over its own parts, in one process; the one hop is to Embedding.

What the replica imports (torch, Feast, Milvus's client) is imported in the replica: the driver that only describes the
graph stays small.
"""

from typing import Any

from ray import serve

from contracts.settings import Settings


@serve.ingress()
class Gateway:
    """Features, retrieval and ranking in one replica.

    Args:
        settings: The process's settings.
        embedding: Handle of the Embedding deployment.
    """

    def __init__(self, settings: Settings, embedding: Any):
        from services import replica_log
        from services.gateway.parts import build_parts
        from services.gateway.wiring import real_adapters

        replica_log.write_at_once()
        self._parts = build_parts(settings, real_adapters(settings, embedding))

    def __serve_build_asgi_app__(self) -> Any:
        """Called by Serve once, after the constructor."""
        from services.gateway.api import create_api

        return create_api(self._parts)
