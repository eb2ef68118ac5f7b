"""A child's side of the egress proxy: where it is, and what it refused. `egress_proxy.py` is the other side."""

import http.client
from base64 import b64encode
from urllib.parse import urlsplit

import msgspec

REFUSALS = "/refused"  # where the proxy itself answers what it refused, as a list in JSON
ANSWER_LIMIT = 3.0  # seconds
_LONGEST_ANSWER = 64 * 1024


def address_of(url: str) -> tuple[str, int] | None:
    """Where the proxy of this route listens, for the guard; None for no route."""
    if not url:
        return None
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def refused_by(url: str) -> list[str]:
    """What this route refused so far, in the words of the guard; nothing for no route, or one that is closed.

    Native code says no more than that a connection failed: this tells why.
    """
    address = address_of(url)
    if address is None:
        return []
    credentials = b64encode(f"{urlsplit(url).username}:".encode()).decode()
    connection = http.client.HTTPConnection(*address, timeout=ANSWER_LIMIT)
    try:
        connection.request("GET", REFUSALS, headers={"Proxy-Authorization": f"Basic {credentials}"})
        return msgspec.json.decode(connection.getresponse().read(_LONGEST_ANSWER), type=list[str])
    except (OSError, http.client.HTTPException, msgspec.MsgspecError):
        return []
    finally:
        connection.close()
