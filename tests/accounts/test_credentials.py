"""
Where requests carry their tokens.
"""

from __future__ import annotations

import pytest

from holdfast.service.accounts.credentials import token_of
from holdfast.service.accounts.errors import TokenRefused

FRIENDS = frozenset({"https://friend.example"})


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({}, None),
        ({"authorization": "Bearer abc.def-_~+/=="}, "abc.def-_~+/=="),
        ({"authorization": "bearer  abc"}, "abc"),
        ({"cookie": "iglooauth=abc"}, "abc"),
        ({"cookie": 'a=b; iglooauth="abc"; c=d'}, "abc"),
        ({"cookie": "a=b, iglooauth=abc"}, "abc"),
        ({"cookie": "iglooauth=first; iglooauth=second"}, "first"),
        ({"cookie": "iglooauth="}, None),
        ({"cookie": "IglooAuth=abc"}, None),
        ({"authorization": "Bearer one", "cookie": "iglooauth=two"}, "one"),
    ],
    ids=str,
)
def test_found(fields: dict[str, str], token: str | None) -> None:
    """Authorization goes before the cookie; the first cookie of the name counts."""
    assert token == token_of(fields, "POST")


@pytest.mark.parametrize("value", ["", "Basic YTpi", "Bearer", "Bearer a b", "Bearer ä", "abc"])
def test_other_schemes(value: str) -> None:
    """Something else than a bearer token is refused, and not taken for no token."""
    with pytest.raises(TokenRefused):
        token_of({"authorization": value, "cookie": "iglooauth=abc"}, "GET")


@pytest.mark.parametrize(
    ("fields", "method", "is_refused"),
    [
        ({"origin": "https://evil.example"}, "POST", True),
        ({"origin": "null"}, "POST", True),
        ({"origin": "http://["}, "POST", True),
        ({"sec-fetch-site": "cross-site"}, "DELETE", True),
        ({"origin": "https://evil.example"}, "GET", False),
        ({"origin": "https://files.example"}, "POST", False),
        ({"sec-fetch-site": "same-origin"}, "POST", False),
        ({"origin": "https://friend.example", "sec-fetch-site": "cross-site"}, "POST", False),
        ({"origin": "https://friend.example.evil.example"}, "POST", True),
    ],
    ids=str,
)
def test_cookies_from_elsewhere(fields: dict[str, str], method: str, is_refused: bool) -> None:
    """A page of another site cannot make a browser change anything, unless it is a friend."""
    sent = {"cookie": "iglooauth=abc", "host": "files.example", **fields}
    if is_refused:
        with pytest.raises(TokenRefused):
            token_of(sent, method, FRIENDS)
    else:
        assert "abc" == token_of(sent, method, FRIENDS)
