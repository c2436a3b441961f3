"""Addresses as they may be shown in a log line or an error answer: without the password that one may bear."""

import re
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "***"


def shown_address(address: str) -> str:
    """A URL without its user and password, or the first part of Feast's `host:port,password=...`."""
    if "://" not in address:
        return address.partition(",")[0]
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def without_secrets(text: object, *bearers: str) -> str:
    """A text, such as an engine's error, in which no password of the addresses and no whole token stands.

    Args:
        text: What is to be shown.
        bearers: URLs, Feast's connection strings, tokens; empty ones hide nothing.
    """
    shown = str(text)
    for bearer in bearers:
        for secret in _secrets(bearer):
            shown = shown.replace(secret, HIDDEN)
    return shown


def _secrets(bearer: str) -> list[str]:
    if "://" in bearer:
        credentials = urlsplit(bearer).netloc.rpartition("@")[0]
        password = credentials.partition(":")[2]
        found = [credentials, password, unquote(password)]
    elif "," in bearer or "=" in bearer:
        found = re.findall(r"password=([^,]+)", bearer)
    else:
        found = [bearer, bearer.partition(":")[2]]
    return [secret for secret in found if secret]
