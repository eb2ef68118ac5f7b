"""What the database keeps."""

from downloads.models.api_key import ApiKey, FeedTicket, Scope
from downloads.models.cookie_jar import CookieJar
from downloads.models.host import Host
from downloads.models.idempotency import AnsweredRequest, KeyReused
from downloads.models.preset import Preset
from downloads.models.search import FEW
from downloads.models.site_rule import Manners, ProxyUnreadable, SiteRule, SiteSettings
from downloads.models.tally import sum_up
from downloads.models.task import (
    CLEAN_SLATE,
    GOES_ON,
    ID_LENGTH,
    LEASE,
    MAX_FAILURES,
    PROGRESS,
    SAME_MOMENT,
    STARTABLE,
    Attempt,
    Facts,
    LeaseLost,
    MoveRefused,
    Task,
    TaskQuerySet,
    new_task_id,
)
from downloads.models.tuning import ALWAYS, ONLY, InForce, Tuning
from downloads.models.webhook import Event, Result, WebhookDelivery, WebhookEndpoint
from downloads.models.worker_process import BEAT_EVERY, WorkerProcess

__all__ = [
    "ALWAYS",
    "BEAT_EVERY",
    "CLEAN_SLATE",
    "FEW",
    "GOES_ON",
    "ID_LENGTH",
    "LEASE",
    "MAX_FAILURES",
    "ONLY",
    "PROGRESS",
    "SAME_MOMENT",
    "STARTABLE",
    "AnsweredRequest",
    "ApiKey",
    "Attempt",
    "CookieJar",
    "Event",
    "Facts",
    "FeedTicket",
    "Host",
    "InForce",
    "KeyReused",
    "LeaseLost",
    "Manners",
    "MoveRefused",
    "Preset",
    "ProxyUnreadable",
    "Result",
    "Scope",
    "SiteRule",
    "SiteSettings",
    "Task",
    "TaskQuerySet",
    "Tuning",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WorkerProcess",
    "new_task_id",
    "sum_up",
]
