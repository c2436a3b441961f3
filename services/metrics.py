"""Prometheus metrics of the serving plane, all `millstream_*`, exposed at the gateway's /metrics.

Labels are bounded: routes are templates, reasons and sources are enumerations. With several replicas each scrape reads
one of them; scrape the replicas themselves where that matters.
"""

from prometheus_client import Counter, Gauge, Histogram

_FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0)
_FRESHNESS_S = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_AGE_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0)

REQUESTS = Counter("millstream_http_requests", "HTTP requests answered", ["route", "method", "status"])
REQUEST_SECONDS = Histogram("millstream_http_request_seconds", "Time to answer a request", ["route"], buckets=_FAST_S)
STAGE_SECONDS = Histogram("millstream_stage_seconds", "Time by stage of a flow", ["flow", "stage"], buckets=_FAST_S)
CANDIDATES = Counter("millstream_candidates", "Candidates proposed", ["source"])
DROPPED = Counter("millstream_candidates_dropped", "Candidates left out by the filters", ["reason"])
DEGRADED = Counter("millstream_degraded_answers", "Answers made with a part missing", ["flow", "reason"])
ANSWERS = Counter("millstream_answers", "Recommendation and search answers", ["flow"])
FEATURE_AGE_SECONDS = Histogram(
    "millstream_feature_age_seconds", "Age of the user's newest interaction when served", buckets=_AGE_S
)
FEATURES_REFILLING = Gauge(
    "millstream_features_refilling", "Partitions whose rows in the feature store are being refilled after a loss"
)

EVENTS_ACCEPTED = Counter("millstream_events_accepted", "Events acknowledged by the log", ["kind"])
EVENTS_REJECTED = Counter("millstream_events_rejected", "Events refused", ["reason"])
LOG_PUBLISH_SECONDS = Histogram(
    "millstream_log_publish_seconds", "Time until the log has acknowledged", ["topic"], buckets=_FAST_S
)
LOG_FAILURES = Counter("millstream_log_failures", "Messages that the log did not acknowledge", ["topic"])
TAILED = Counter("millstream_serving_messages_read", "Messages read by serving", ["topic"])
REFUSED = Counter("millstream_serving_messages_refused", "Messages that serving could not use", ["topic", "reason"])

MODEL_LOADS = Counter("millstream_model_loads", "Versions loaded into serving", ["outcome"])
MODEL_LOAD_SECONDS = Histogram("millstream_model_load_seconds", "Time to load a version", buckets=_FAST_S)
MODEL_AGE_SECONDS = Gauge("millstream_model_age_seconds", "Age of the version served")
MODEL_VERSION = Gauge("millstream_model_version_info", "1 for the version served", ["version"])
CATALOGUE_ITEMS = Gauge("millstream_catalogue_items", "Items in the replica's memory")
READY = Gauge("millstream_serving_ready", "1 once everything that was in the log has been read")

CLICK_TO_RANKING_SECONDS = Histogram(
    "millstream_click_to_ranking_seconds",
    "From the receipt of an event to the first answer whose features include it",
    buckets=_FRESHNESS_S,
)
CLICK_TO_WEIGHTS_SECONDS = Histogram(
    "millstream_click_to_weights_seconds",
    "From the receipt of an event to the first answer by a version trained on it",
    buckets=_FRESHNESS_S,
)
