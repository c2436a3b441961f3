"""No password of an address is shown."""

import pytest

from contracts.addresses import shown_address, without_secrets


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://:s3cret@cache:6379/0", "redis://cache:6379/0"),
        ("rediss://shop:s3cret%40x@cache/1", "rediss://cache/1"),
        ("http://milvus:19530", "http://milvus:19530"),
        ("cache:6379,db=0,password=s3cret", "cache:6379"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert shown_address(address) == shown


@pytest.mark.parametrize(
    "bearer",
    [
        "redis://:s3cret@cache:6379/0",
        "redis://shop:s3cret@cache",
        "cache:6379,db=0,password=s3cret",
        "root:s3cret",
        "s3cret",
    ],
)
def test_an_engine_s_own_words_are_shown_without_it_too(bearer: str) -> None:
    assert "s3cret" not in without_secrets(RuntimeError(f"no route to {bearer}, tried s3cret"), bearer)


def test_without_an_address_a_text_stays_as_it_is() -> None:
    assert without_secrets("found nothing", "", "http://milvus:19530") == "found nothing"
