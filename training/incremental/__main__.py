"""The learner's process: `python -m training.incremental`. SIGTERM and SIGINT end it after the turn under way."""

import logging
import signal
from types import FrameType

import torch
from prometheus_client import REGISTRY, start_http_server

from contracts.clock import utc_now
from contracts.settings import settings
from contracts.topics import FEEDBACK, ITEM_VECTORS, ITEMS, MODEL_VERSIONS
from eventlog.group import GroupReader
from eventlog.producer import KafkaLog
from eventlog.tail import KafkaTail
from feature_repo.model_store import ModelStore
from feature_repo.vector_index import MilvusIndex
from training.incremental.flow import LearnerFlow, Sources
from training.incremental.metrics import LearnerMetrics
from training.publish import Shelves

GROUP = "learner"


def main() -> None:
    """Runs turns until a signal."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    chosen = settings()
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    metrics_server, _ = start_http_server(chosen.learner_metrics_port, addr="127.0.0.1")
    feedback = GroupReader(chosen.bootstrap, f"{chosen.app_id}-{GROUP}", [FEEDBACK])
    catalogue = KafkaTail(chosen.bootstrap, [ITEMS, ITEM_VECTORS, MODEL_VERSIONS])
    log = KafkaLog(chosen.bootstrap, GROUP)
    index = MilvusIndex(chosen.vectors_uri, chosen.milvus_token.get_secret_value(), timeout_s=10.0)
    flow = LearnerFlow(
        chosen,
        Sources(feedback, catalogue),
        Shelves(ModelStore(chosen.models_dir), index, log),
        LearnerMetrics(REGISTRY),
        utc_now,
    )
    try:
        while not stopped:
            flow.turn()
    finally:
        feedback.close()
        catalogue.close()
        index.close()
        log.close()
        metrics_server.shutdown()


if __name__ == "__main__":
    main()
