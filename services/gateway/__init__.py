"""The HTTP face: routes, the request path (`recommend.py`), problem details, traces and the wiring of one replica."""
