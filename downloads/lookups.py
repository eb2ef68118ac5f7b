"""What a site says about a link before anything is downloaded: bounded in number and time, and kept for a short while.

What is kept stays in this process's memory: it may hold links that are as good as a password. A download that runs in
another process, or later, looks up again by itself.
"""

import hashlib
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

from downloads import pictures
from downloads.engine import messages
from downloads.engine.errors import Failure, Phase, Reason
from downloads.engine.formats import PostProcessing, Quality
from downloads.engine.network import AddressPolicy
from downloads.engine.process import Child, Engine, EngineUnavailable
from downloads.models import ProxyUnreadable, SiteRule, SiteSettings

KEPT_FOR = 300.0  # seconds
KEPT_AT_MOST = 32  # results, of 2 MiB at most each
WAITING_AT_MOST = 16  # beyond those that run
LOOK_EVERY = 0.5


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a site, with these cookies or none. `picture`: whether to wait some seconds for that too."""

    url: str
    quality: Quality = Quality.BEST
    post_processing: PostProcessing = PostProcessing.NONE
    cookies: str = ""
    picture: bool = False


@dataclass(frozen=True)
class Look:
    """What a look-up brought: what the site says, and a JPEG where one was wanted and could be had."""

    described: messages.Described
    picture: bytes | None = None


class Busy(Exception):
    """Too many look-ups run or wait already; `str()` is one sentence for people, `retry_after` in seconds."""

    def __init__(self, retry_after: int) -> None:
        """Say when it is worth another try."""
        super().__init__(f"Too many look-ups are under way; try again in {retry_after} seconds.")
        self.retry_after = retry_after


class LookUpFailed(Exception):
    """The site did not answer with a video; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        """Take what happened."""
        super().__init__(failure.sentence)
        self.failure = failure


_places = threading.BoundedSemaphore(settings.MAX_CONCURRENT_EXTRACTS)
_waiting = threading.BoundedSemaphore(settings.MAX_CONCURRENT_EXTRACTS + WAITING_AT_MOST)
_kept: OrderedDict[str, tuple[float, str]] = OrderedDict()
_lock = threading.Lock()


def look_up(engine: Engine, asked: Question) -> Look:
    """Ask the site; blocks at most as long as DOWNIE_EXTRACT_TIME_LIMIT says.

    Raises:
        Busy: no place became free in time.
        LookUpFailed: there is no video, or the site did not answer in time.
    """
    rules = _site_settings(asked.url)
    folder = settings.WORK_DIR / f"look-up-{secrets.token_hex(6)}"
    with _place(), engine.way_out(AddressPolicy(settings.ALLOWED_NETWORKS), rules.proxy, rules.source_address) as route:
        job = messages.LookUpJob(
            url=asked.url,
            quality=asked.quality,
            post_processing=asked.post_processing,
            folder=str(folder),
            tools=str(settings.FFMPEG_DIR or settings.TOOLS_DIR),
            cache=str(settings.DATA_DIR / "cache"),
            cookies=asked.cookies,
            allowed_networks=tuple(str(network) for network in settings.ALLOWED_NETWORKS),
            memory_limit=settings.ENGINE_MEMORY_LIMIT,
            egress=route.url,
            through_egress=bool(rules.proxy),
            rate_limit=rules.rate_limit,
            source_address=rules.source_address,
            impersonate=rules.impersonate,
            picture=asked.picture,
        )
        try:
            child = engine.start(job)
        except EngineUnavailable as error:
            raise LookUpFailed(Failure(reason=Reason.KILLED, phase=Phase.LOOKUP, detail=str(error))) from None
        try:
            look, kept_info = _listen(child, folder, wants_picture=asked.picture)
        finally:
            child.stop()
            shutil.rmtree(folder, ignore_errors=True)
    if kept_info:
        _keep(asked.url, asked.cookies, kept_info)
    return look


def _site_settings(url: str) -> SiteSettings:
    try:
        return SiteRule.objects.for_url(url)
    except ProxyUnreadable as error:
        raise LookUpFailed(Failure(reason=Reason.PROXY, phase=Phase.LOOKUP, detail=str(error))) from None


def kept(url: str, cookies: str) -> str:
    """What a look-up of this link with these cookies said within the last five minutes, or nothing."""
    with _lock:
        until, info = _kept.pop(_key(url, cookies), (0.0, ""))
    return info if until > time.monotonic() else ""


def _keep(url: str, cookies: str, info: str) -> None:
    with _lock:
        _kept[_key(url, cookies)] = (time.monotonic() + KEPT_FOR, info)
        if len(_kept) > KEPT_AT_MOST:
            _kept.popitem(last=False)


def _key(url: str, cookies: str) -> str:
    return hashlib.sha256(f"{url}\0{cookies}".encode()).hexdigest()


@contextmanager
def _place() -> Iterator[None]:
    """Hold one of the places; wait for it in a line of limited length."""
    limit = settings.EXTRACT_TIME_LIMIT
    if not _waiting.acquire(blocking=False):
        raise Busy(limit)
    try:
        if not _places.acquire(timeout=limit):
            raise Busy(limit)
        try:
            yield
        finally:
            _places.release()
    finally:
        _waiting.release()


def _listen(child: Child, folder: Path, *, wants_picture: bool) -> tuple[Look, str]:
    """What the child says, and what is to be kept of it. Once the site is described, nothing makes that undone."""
    deadline = time.monotonic() + settings.EXTRACT_TIME_LIMIT
    kept_info = ""
    look: Look | None = None
    while True:
        try:
            events = child.events(LOOK_EVERY)
        except messages.BadFrame as error:
            raise LookUpFailed(Failure(reason=Reason.KILLED, phase=Phase.LOOKUP, detail=str(error))) from None
        for event in events:
            if isinstance(event, messages.Kept):
                kept_info = event.info
            elif isinstance(event, messages.Described):
                look = Look(event)
            elif isinstance(event, messages.Pictured) and look:
                return replace(look, picture=_picture(folder, event.name)), kept_info
            elif isinstance(event, messages.Failed) and not look:
                raise LookUpFailed(event.failure)
        is_over = child.ended or time.monotonic() > deadline
        if look and (is_over or not wants_picture):
            return look, kept_info
        if is_over:
            reason = Reason.KILLED if child.ended else Reason.LOOKUP_TIMED_OUT
            raise LookUpFailed(Failure(reason=reason, phase=Phase.LOOKUP))


def _picture(folder: Path, name: str) -> bytes | None:
    """The picture that the child names, right inside its folder; a look-up is as good without one."""
    path = folder / name
    if Path(name).name != name or path.is_symlink():
        return None
    with suppress(OSError):
        return pictures.made(path)
    return None
