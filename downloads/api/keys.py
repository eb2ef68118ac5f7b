"""The one-time ticket by which a browser opens the feed, where it cannot send a key in a header."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from downloads import access
from downloads.api.schemas import Ticket
from downloads.models import FeedTicket
from downloads.models.api_key import TICKET_LIFE

router = Router(tags=["Feed"])


@router.post("/downloads/ws-ticket", response=Ticket)
def ws_ticket(request: HttpRequest) -> dict[str, Any]:
    """Give a ticket: `/api/downloads/ws?ticket=…` opens the feed with it, once, within 30 seconds."""
    ticket = FeedTicket.objects.issue(key=access.key_of(request), user_id=request.user.pk)
    return {"ticket": ticket, "expires_in": int(TICKET_LIFE.total_seconds())}
