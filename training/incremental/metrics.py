"""Metrics of the learner, for Prometheus; names begin with `millstream_learner_`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class LearnerMetrics:
    """All series of one learner.

    Args:
        registry: Where they are registered; one of its own in tests.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.examples = Counter(
            "millstream_learner_examples",
            "Examples taken: learned, covered by the base, repeated, capped (enough of user or item in the round), "
            "or left out (item unknown, or a cancellation)",
            ["use"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "millstream_learner_dead_letters", "Messages refused, by reason", ["reason"], registry=registry
        )
        self.loss = Gauge("millstream_learner_loss", "Progressive softmax loss of the last batch", registry=registry)
        self.log_loss = Gauge(
            "millstream_learner_log_loss", "Progressive log loss of the click head, last batch", registry=registry
        )
        self.recall = Gauge(
            "millstream_learner_recall_at_20", "Progressive recall at 20 over all items, last batch", registry=registry
        )
        self.id_rows = Gauge(
            "millstream_learner_id_rows",
            "Rows of the id embedding, used by an item or free",
            ["state"],
            registry=registry,
        )
        self.versions = Counter("millstream_learner_versions", "Versions published", registry=registry)
        self.refusals = Counter(
            "millstream_learner_gate_refusals", "Rounds not published, by verdict", ["verdict"], registry=registry
        )
        self.failures = Counter(
            "millstream_learner_failures",
            "Outages of a dependency met, and vectors that the index lost, by reason",
            ["reason"],
            registry=registry,
        )
        self.publish_seconds = Histogram(
            "millstream_learner_publish_seconds",
            "Seconds of a publication",
            buckets=(0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=registry,
        )
        self.lag = Gauge("millstream_learner_lag", "Messages not yet polled, by topic", ["topic"], registry=registry)
