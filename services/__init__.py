"""Request to ranked items: the gateway, the embedding service, retrieval and ranking, wired together in `app.py`."""
