"""`python -m services`: starts Ray and the Serve application, and stays until SIGTERM or SIGINT."""

import logging
import signal
import threading
from types import FrameType

from contracts.settings import Settings, settings
from services import ray_environment

log = logging.getLogger("services")

OBJECT_STORE_BYTES = 80_000_000
"""The smallest that Ray takes, nearly: batches of vectors and pictures are all that passes through it."""


def main() -> None:
    """Runs the serving plane in the foreground."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stopped = threading.Event()
    _set_on_signals(stopped)
    serve_until(stopped, settings())


def _set_on_signals(stopped: threading.Event) -> None:
    def stop(signal_number: int, _: FrameType | None) -> None:
        log.info("stopping on signal %d", signal_number)
        stopped.set()

    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, stop)


def serve_until(stopped: threading.Event, configuration: Settings) -> None:
    """Starts the application, waits for `stopped`, and takes everything down again."""
    # A relative state directory must mean the same in Ray's workers.
    configuration = configuration.model_copy(update={"state_dir": configuration.state_dir.resolve()})
    directory = ray_environment.prepare(configuration)

    import ray
    from ray import serve

    from services.app import NAME, application

    if configuration.ray_address:
        ray.init(address=configuration.ray_address, log_to_driver=False)
    else:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.WARNING,
            _temp_dir=str(directory),
        )
    _set_on_signals(stopped)  # again, for Ray has put its own
    try:
        serve.start(http_options={"host": configuration.gateway_host, "port": configuration.gateway_port})
        serve.run(application(configuration), name=NAME, route_prefix="/")
        log.info("the gateway answers at http://%s:%d", configuration.gateway_host, configuration.gateway_port)
        stopped.wait()
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
