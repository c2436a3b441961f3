"""The Serve graph: Gateway in front, Embedding behind it. Wiring only."""

from ray import serve
from ray.serve import Application

from contracts.settings import Settings
from services.embedding.deployment import Embedding
from services.gateway.deployment import Gateway

NAME = "millstream"


def application(settings: Settings) -> Application:
    """The graph for these settings."""
    embedding = serve.deployment(
        Embedding,
        name="Embedding",
        num_replicas=settings.embedding_replicas,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=64,
    )
    gateway = serve.deployment(
        Gateway,
        name="Gateway",
        num_replicas=settings.serving_replicas,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=200,
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=10,
    )
    bound: Application = gateway.bind(settings, embedding.bind(settings))
    return bound
