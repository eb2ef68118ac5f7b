"""How the service is, in detail."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from downloads.api.schemas import Readiness
from downloads.readiness import readiness

router = Router(tags=["Service"])

Json = dict[str, Any]


@router.get("/health/ready", response={200: Readiness, 503: Readiness})
def ready(request: HttpRequest) -> Status[Json]:
    """Say whether everything that downloads need works; 503 when something does not. Tried anew every 5 s at most."""
    report = readiness.report()
    code = HTTPStatus.SERVICE_UNAVAILABLE if report.status == "not_ready" else HTTPStatus.OK
    checks = {name: {**asdict(finding), "detail": finding.detail} for name, finding in report.checks.items()}
    return Status(code, {"status": report.status, "checks": checks})
