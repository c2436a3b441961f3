"""The page's files and the shop double over HTTP on loopback."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from contracts.requests import Problem
from tests.page.shop_double import ShopDouble

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def serve(shop: ShopDouble, port: int = 0) -> ThreadingHTTPServer:
    """Serves the shop on loopback in a thread; `shutdown()` ends it."""

    class _Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Says nothing on the terminal."""

        def send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def api(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                answer = shop.route(self.command, self.path, json.loads(sent) if sent else None)
            except ValidationError as error:
                shop.refused.append(f"{self.command} {self.path}: {error}")
                answer = Problem(title="Invalid request", status=422, detail=str(error), reason="invalid")
            if answer is None:
                answer = Problem(title="Not found", status=404, detail=f"found no {self.path}", reason="not_found")
            status = answer.status if isinstance(answer, Problem) else 200
            text = answer.model_dump_json() if isinstance(answer, BaseModel) else json.dumps(answer)
            self.send(status, "application/json", text.encode())

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path.startswith("/v1/pictures/") and (found := shop.pictures.get(path.rsplit("/", 1)[-1])):
                self.send(200, *found)
            elif path.startswith("/v1/"):
                self.api()
            elif (file := shop.page / (path.lstrip("/") or "index.html")).is_file():
                self.send(200, TYPES[file.suffix], file.read_bytes())
            else:
                self.send(404, "text/plain", b"")

        do_POST = do_PUT = do_DELETE = api  # noqa: N815 - the names that http.server looks up

    server = ThreadingHTTPServer(("127.0.0.1", port), _Requests)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
