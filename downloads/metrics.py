"""How the service is, in figures: what the database knows, asked at each scrape, and what this process has counted."""

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from downloads.engine import releases
from downloads.frames import MANY_FRAMES
from downloads.models import Attempt, Task, WebhookDelivery
from downloads.models.webhook import DeliveryStatus
from downloads.states import Outcome, Status

HERE: Final = "Counted by this process since its start."
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "other"  # a method or an address that we do not know: whoever asks cannot make labels up

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter, of no use to us
registry = CollectorRegistry()

requests = Counter(
    "downie_http_requests",
    f"HTTP requests, without static files, by method, route and status. {HERE}",
    ["method", "route", "status"],
    registry=registry,
)
request_seconds = Histogram(
    "downie_http_request_duration_seconds",
    f"Time until an answer begins, by method and route. {HERE}",
    ["method", "route"],
    registry=registry,
)
sockets = Gauge("downie_websocket_clients", "WebSocket clients of this process, now.", registry=registry)
frames = Counter("downie_websocket_messages_sent", f"Messages sent to WebSocket clients. {HERE}", registry=registry)
engine_start = Histogram(
    "downie_engine_start_seconds",
    f"From the claim of a task to the first word of its engine. {HERE}",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
    registry=registry,
)


class DatabaseCollector(Collector):
    """What the rows say, which is the same whichever process is asked."""

    def describe(self) -> Iterator[Metric]:
        """Name nothing in advance, so that no query is made before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Ask the database: four queries."""
        yield from _tasks()
        yield from _attempts()
        yield _queue_age()
        yield _deliveries()


class EngineCollector(Collector):
    """Which yt-dlp is used, and how old it is: sites change, and yt-dlp with them."""

    def collect(self) -> Iterator[Metric]:
        """Look at what is in use now."""
        release = releases.choose(settings.UPDATES_DIR)
        age = release.age(timezone.now().date())
        yield GaugeMetricFamily("downie_engine_age_days", "Days since the yt-dlp in use was released.", value=age)
        yield _family("downie_engine_info", "The yt-dlp in use.", "version", {release.version: 1})


registry.register(DatabaseCollector())
registry.register(EngineCollector())


def _tasks() -> Iterator[Metric]:
    rows = list(Task.objects.values_list("status").annotate(Count("pk"), Sum("downloaded_bytes"), Sum("speed")))
    counts = {status: count for status, count, _bytes, _speed in rows}
    yield _family("downie_tasks", "Tasks by status.", "status", {status: counts.get(status, 0) for status in Status})
    downloaded = sum(size for _status, _count, size, _speed in rows)
    yield GaugeMetricFamily("downie_downloaded_bytes", "Bytes of all tasks that are kept.", value=downloaded)
    speed = sum(speed for *_, speed in rows)
    yield GaugeMetricFamily("downie_speed_bytes_per_second", "Speed of all downloads together, now.", value=speed)


def _attempts() -> Iterator[Metric]:
    rows = list(Attempt.objects.values_list("outcome", "error_code").annotate(Count("pk")))
    outcomes = dict.fromkeys([*Outcome, "running"], 0)
    codes: dict[str, int] = {}
    for outcome, code, count in rows:
        outcomes[outcome or "running"] += count
        if code:
            codes[code] = codes.get(code, 0) + count
    yield _family("downie_attempts", "Attempts at the tasks that are kept, by outcome.", "outcome", outcomes)
    yield _family("downie_attempt_failures", "Those of them that failed, by error code.", "code", codes)


def _queue_age() -> Metric:
    sentence = "Seconds that the oldest of the tasks that may start at once has been waiting for a worker."
    return GaugeMetricFamily("downie_queue_age_seconds", sentence, value=Task.objects.longest_wait().total_seconds())


def _deliveries() -> Metric:
    rows = dict(WebhookDelivery.objects.values_list("status").annotate(Count("pk")))
    counts = {status: rows.get(status, 0) for status in DeliveryStatus}
    return _family("downie_webhook_deliveries", "Webhook deliveries of the last 30 days, by status.", "status", counts)


def _family(name: str, sentence: str, label: str, values: dict[Any, int]) -> Metric:
    family = GaugeMetricFamily(name, sentence, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Show all of it, in the text format of Prometheus or of OpenMetrics."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def counted(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Count requests and their time: a middleware, the outermost one."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        response = get_response(request)
        method = request.method if request.method in METHODS else OTHER
        route = f"/{request.resolver_match.route}" if request.resolver_match else OTHER
        requests.labels(method, route, response.status_code).inc()
        request_seconds.labels(method, route).observe(time.perf_counter() - began)
        return response

    return middleware


def counted_sockets(application: Any) -> Any:  # noqa: ANN401  channels and Django have no common type for these
    """Count the clients of a WebSocket application, and what it sends to them."""

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        accepted = 0

        async def send_and_count(message: Scope) -> None:
            nonlocal accepted
            if message["type"] == "websocket.accept":
                accepted = 1
                sockets.inc()
            elif message["type"] == "websocket.send":
                frames.inc()
            elif message["type"] == MANY_FRAMES:
                frames.inc(message["count"])
            await send(message)

        try:
            await application(scope, receive, send_and_count)
        finally:
            sockets.dec(accepted)

    return counting
