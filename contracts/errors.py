"""The error tree. A class names one cause and says what the caller does about it.

MillstreamError
+-- BadInput                 the sender's fault; HTTP answers 4xx, streams dead-letter it
|   +-- UndecodableMessage   bytes that are no JSON, or JSON of no known kind: dead-letter, reason "undecodable"
|   +-- InvalidMessage        a known kind with a wrong field: dead-letter, reason "invalid"
|   +-- FutureEvent           later than now plus the tolerance: dead-letter, reason "future"
|   +-- BadPicture            bytes that are no picture: drop the picture, keep the item
|   +-- BadFile               a catalogue or event file that cannot be read: stop the command, show the message
+-- Unavailable              a dependency is away; retry, or answer degraded
|   +-- LogUnavailable        Kafka: HTTP answers 503, nothing is accepted
|   |   +-- MessageTooLarge   it never takes this message: streams dead-letter what made it
|   +-- FeaturesUnavailable   Feast: answer without the user's features
|   +-- VectorsUnavailable    Milvus: answer from the other candidate sources
|   +-- EmbeddingUnavailable  the encoders: the catalogue agent retries, search answers 503
|   +-- PicturesUnavailable   the disk of the pictures: HTTP answers 503, the item is not accepted
|   +-- StateUnavailable      the disk of the streams' states: the lane waits until there is room
|   +-- NotOwner              another worker holds the partition now: stop, and let the group deal it out
|   +-- Starting              a gateway that still reads the catalogue: HTTP answers 503, another replica answers
+-- ModelError               stop, keep the version that is served
|   +-- NoModel               nothing was published yet: rank by the candidate sources' scores
|   +-- BadCheckpoint         a directory that is no whole model: keep the one in memory
|   +-- CheckpointNotSaved    the disk is full or away: free space and start again from the one before
+-- UnknownFormat            stored bytes of another format: stop, and say which command makes them anew
+-- StatesLost               the changelogs lack what was folded: stop, and let a person run `millstream rebuild`
+-- NotEnoughData            training has too few examples: say how many, and of what
+-- StackError               the local stack cannot start or stop: show the message and what to do
"""


class MillstreamError(Exception):
    """Root of all that Millstream raises. `reason` is the short word for metrics labels and dead letters."""

    reason = "error"


class BadInput(MillstreamError):
    """The sender's fault: never retried."""

    reason = "bad_input"


class UndecodableMessage(BadInput):
    """Bytes that are no JSON, or JSON of no known kind or schema version."""

    reason = "undecodable"


class InvalidMessage(BadInput):
    """A known kind of message with a missing or wrong field."""

    reason = "invalid"


class FutureEvent(BadInput):
    """An event later than now plus the tolerance."""

    reason = "future"


class BadPicture(BadInput):
    """Bytes that no picture decoder accepts, or a picture beyond the size limit."""

    reason = "bad_picture"


class BadFile(BadInput):
    """A file of a shop that cannot be read as a catalogue or as events."""

    reason = "bad_file"


class Unavailable(MillstreamError):
    """A dependency is away. Retry later, or go on without it and say so."""

    reason = "unavailable"


class LogUnavailable(Unavailable):
    """Kafka did not acknowledge in time."""

    reason = "log_unavailable"


class MessageTooLarge(LogUnavailable):
    """A message above the log's limit: no retry helps, and the log is well."""

    reason = "too_large"


class FeaturesUnavailable(Unavailable):
    """The online feature store did not answer."""

    reason = "features_unavailable"


class VectorsUnavailable(Unavailable):
    """The vector index did not answer."""

    reason = "vectors_unavailable"


class EmbeddingUnavailable(Unavailable):
    """The encoders did not answer."""

    reason = "embedding_unavailable"


class PicturesUnavailable(Unavailable):
    """The disk of the pictures does not take a write, or cannot be read."""

    reason = "pictures_unavailable"


class StateUnavailable(Unavailable):
    """The local disk of the streams' states does not take a write, or cannot be read."""

    reason = "state_unavailable"


class NotOwner(Unavailable):
    """Another worker has written a newer state of this partition: this one no longer owns it."""

    reason = "not_owner"


class Starting(Unavailable):
    """The catalogue is still being read from the log: what it would say is not yet true."""

    reason = "starting"


class ModelError(MillstreamError):
    """A model version cannot be used. The version in memory stays."""

    reason = "model"


class NoModel(ModelError):
    """No model version was published yet."""

    reason = "no_model"


class BadCheckpoint(ModelError):
    """A model directory that is incomplete, corrupt or of another schema."""

    reason = "bad_checkpoint"


class CheckpointNotSaved(ModelError):
    """A checkpoint cannot be written: the disk is full or away. The one saved before it is whole."""

    reason = "checkpoint_not_saved"


class UnknownFormat(MillstreamError):
    """Stored bytes or a message of our own bear a format version that this code does not read."""

    reason = "unknown_format"


class StatesLost(MillstreamError):
    """The streams' changelogs lack what the group has folded: going on would begin every user anew."""

    reason = "states_lost"


class NotEnoughData(MillstreamError):
    """Training was asked for with too few examples."""

    reason = "not_enough_data"


class StackError(MillstreamError):
    """The local stack cannot start, stop or be found."""

    reason = "stack"
