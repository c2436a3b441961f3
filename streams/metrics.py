"""The streams' Prometheus metrics, made once with a registry and passed to whoever counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BATCH_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
AGE_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)


class StreamMetrics:
    """All counters, gauges and histograms of the process; names start with `millstream_`."""

    def __init__(self, registry: CollectorRegistry):
        self.events_in = Counter(
            "millstream_events_in", "Messages read and acknowledged, by topic.", ["topic"], registry=registry
        )
        self.events_out = Counter(
            "millstream_events_out", "Messages published, by topic.", ["topic"], registry=registry
        )
        self.outcomes = Counter(
            "millstream_fold_outcomes",
            "Events by what the fold did with them: counted, late, duplicate, redelivered.",
            ["agent", "outcome"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "millstream_dead_letters", "Messages refused, by topic and reason.", ["topic", "reason"], registry=registry
        )
        self.batch_seconds = Histogram(
            "millstream_batch_seconds",
            "Seconds from the first message of a batch to its acknowledgement, by agent.",
            ["agent"],
            buckets=BATCH_BUCKETS_S,
            registry=registry,
        )
        self.lag = Gauge(
            "millstream_consumer_lag", "Messages not yet consumed, by topic.", ["topic"], registry=registry
        )
        self.features_written = Counter(
            "millstream_features_written", "Feature rows written online, by entity.", ["entity"], registry=registry
        )
        self.feature_age_seconds = Histogram(
            "millstream_feature_write_age_seconds",
            "Seconds from folding an event to its feature row being readable, by entity.",
            ["entity"],
            buckets=AGE_BUCKETS_S,
            registry=registry,
        )
        self.features_pending = Gauge(
            "millstream_features_pending",
            "Feature rows waiting to be written, by entity.",
            ["entity"],
            registry=registry,
        )
        self.retries = Counter(
            "millstream_retries", "Attempts that failed and are made again, by part.", ["part"], registry=registry
        )
        self.gaps = Counter(
            "millstream_log_gaps",
            "Times that a lane was given messages behind a gap and read the log again from before it, by topic.",
            ["topic"],
            registry=registry,
        )
        self.forgotten = Counter(
            "millstream_forgotten", "States forgotten, not seen for too long, by table.", ["table"], registry=registry
        )
        self.refilled = Counter(
            "millstream_refilled",
            "Feature rows written again since the online store had lost them, by table.",
            ["table"],
            registry=registry,
        )
        self.items_embedded = Counter(
            "millstream_items_embedded", "Catalogue items whose vectors were written.", registry=registry
        )
        self.archived = Counter(
            "millstream_archived", "Rows written to the archive, by dataset.", ["dataset"], registry=registry
        )
        self.archive_waiting = Gauge(
            "millstream_archive_waiting",
            "1 while the archive waits for its disk or for the log, and archives nothing.",
            registry=registry,
        )
        self.archive_refused = Counter(
            "millstream_archive_refused",
            "Messages that no archive row can hold, by topic.",
            ["topic"],
            registry=registry,
        )
        self.archive_restarts = Counter(
            "millstream_archive_restarts",
            "Times that the archive's loop began anew after an unexpected error.",
            registry=registry,
        )
        self.archive_merged = Counter(
            "millstream_archive_merged", "Archive files merged into fewer, by dataset.", ["dataset"], registry=registry
        )
        self.open_windows = Gauge(
            "millstream_open_windows", "Users with impressions whose attribution window is open.", registry=registry
        )
