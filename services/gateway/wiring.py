"""The adapters of a real replica: Kafka, Feast, Milvus, files, the Embedding deployment. Wiring only."""

from typing import Any

import torch

from contracts.ids import ModelVersion
from contracts.settings import Settings
from eventlog.producer import KafkaLog
from eventlog.tail import KafkaTail
from feature_repo.model_store import ModelStore
from feature_repo.online import FeastStore
from feature_repo.pictures import FilePictureStore
from feature_repo.vector_index import MilvusIndex
from services.gateway.embedding_handle import EmbeddingHandle
from services.gateway.feed import FED_BY, NEWEST_OF
from services.gateway.parts import Adapters
from services.ranking.user_encoders import user_encoder
from training.model.serving import ServingModel

LINGER_MS = 2
"""A click waits for its acknowledgement: batches form by themselves under load, idle time gains nothing."""


def real_adapters(settings: Settings, embedding: Any) -> Adapters:
    """Adapters of the settings' addresses; they connect when first used.

    Args:
        settings: The process's settings.
        embedding: Handle of the Embedding deployment.
    """
    torch.set_num_threads(1)
    models = ModelStore(settings.models_dir)
    encoder_of = user_encoder(settings.serving_encoder)

    def load_model(version: ModelVersion) -> ServingModel:
        return ServingModel.load(models.path(version), encoder_of)

    return Adapters(
        log=KafkaLog(settings.bootstrap, "gateway", LINGER_MS),
        tail=KafkaTail(settings.bootstrap, FED_BY, newest_of=NEWEST_OF),
        features=FeastStore(settings),
        index=MilvusIndex(
            settings.vectors_uri, settings.milvus_token.get_secret_value(), settings.request_deadline_ms / 1000
        ),
        pictures=FilePictureStore(settings.pictures_dir, settings.picture_max_bytes),
        embedder=EmbeddingHandle(embedding),
        load_model=load_model,
    )
