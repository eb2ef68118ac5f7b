"""`Idempotency-Key`: a request that comes again, since its answer was lost, is answered again and not done again."""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Header

from downloads import access
from downloads.models import AnsweredRequest, KeyReused
from downloads.models.idempotency import KEY_LENGTH
from downloads.refusals import Refused

Json = dict[str, Any]

REPLAYED = "Idempotent-Replayed"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=KEY_LENGTH,
        pattern=r"^[!-~]+$",
        description=(
            "Any text of your own, new for each thing to do. The same key with the same body gives the same answer "
            "again for 24 hours, with the header `Idempotent-Replayed: true`, and does nothing twice. A request that "
            "was refused is not remembered: mend it and send it with the same key."
        ),
    ),
]


def once(request: HttpRequest, response: HttpResponse, key: str | None, work: Callable[[], Json]) -> Json:
    """Do the work, unless this key says that it is done; then its answer.

    Raises:
        Refused: IDEMPOTENCY_KEY_REUSED.
    """
    if key is None:
        return work()
    fingerprint = hashlib.sha256(request.path.encode() + b"\0" + request.body).hexdigest()
    try:
        answer, is_replayed = AnsweredRequest.objects.once(_caller(request), key, fingerprint, work)
    except KeyReused:
        sentence = "This Idempotency-Key came with another request before; use a new key for a new request."
        raise Refused("IDEMPOTENCY_KEY_REUSED", sentence) from None
    if is_replayed:
        response.headers[REPLAYED] = "true"
    return answer


def _caller(request: HttpRequest) -> str:
    """Whose key it is: callers neither see nor block each other's answers."""
    if api_key := access.key_of(request):
        return f"key {api_key.public_id}"
    return f"user {request.user.pk}" if request.user.is_authenticated else ""
