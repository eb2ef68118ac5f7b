"""What makes promise 1 true: whatever was lost beside the rows is made again from them.

At the start of the embedded service, and every second in every process that runs downloads.
"""

import logging
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection

from downie_project.version import VERSION
from downloads import actors, broker, live, logs, pictures, retention, runner, storage, turns
from downloads.library import LibraryUnreachable, bucket, is_remote, library
from downloads.models import BEAT_EVERY, GOES_ON, Host, LeaseLost, Task, Tuning, WebhookDelivery, WorkerProcess, sum_up
from downloads.states import Status

SWEEP_EVERY = 1.0  # seconds
# Messages are sent for this many deliveries at most in one sweep; the next one goes on.
SEND_AT_ONCE = 100
FORGET_EVERY = 3600.0  # seconds
EMPTY_EVERY = 60.0  # seconds; what is cancelled elsewhere has its bytes here for so long at most
LOOKED_UP_AT_ONCE = 500

logger = logging.getLogger(__name__)


def begin() -> None:
    """Clean up after the last run on this data folder, whose lock the caller holds."""
    if not settings.SCALED:  # otherwise workers elsewhere hold leases, and those of the dead run out by themselves
        WorkerProcess.objects.all().delete()
        voided = Task.objects.void_leases()
        if voided:
            logger.info("%d tasks were running when the service last ended; they go on", voided)
    sweep()
    empty_leftover_folders()


def sweep() -> None:
    """Mend every task whose worker is dead, and have idle places of this process look whether a task may start."""
    for task in Task.objects.seize(actors.worker_name(), storage.machine()):
        with logs.about(task=task.id, lease=task.lease):
            _mend(task)
    room = storage.usable(Task.objects.running_on(storage.machine()).bytes_to_come())
    tell_room(room)
    actors.places.wake(turns.startable(storage.machine(), room).count())
    send_webhooks()


def tell_room(room: int) -> None:
    """Let tasks that cannot start for want of room say so, and say no more when there is enough."""
    live.tasks_changed(Task.objects.tell_room(room, is_all=not settings.SCALED))


def send_webhooks() -> None:
    """Send for every delivery that is due: the new ones, those to be tried again, those whose worker died."""
    due = WebhookDelivery.objects.due().order_by("due_at")
    ids = list(due.values_list("pk", flat=True)[:SEND_AT_ONCE])
    try:
        if ids and len(ids) > broker.waiting_messages(broker.WEBHOOKS):
            for delivery_id in ids:
                actors.deliver_webhook.send(delivery_id)
    except broker.UNREACHABLE as error:
        logger.warning("Deliveries of webhooks wait until the broker answers again: %s", error)


def forget() -> None:
    """Remove what is too old to be of use."""
    WebhookDelivery.objects.outdated().delete()
    retention.carry_out()
    WorkerProcess.objects.long_gone().delete()
    Host.objects.outdated().delete()
    if is_remote():
        bucket().sweep(set(Task.objects.running().values_list("file_name", flat=True)))
    pictures.sweep()


def empty_leftover_folders() -> None:
    """Throw away the working folders of tasks that are gone, completed or cancelled, or that another machine has."""
    found = [task_id for task_id in storage.leftovers() if not storage.is_held(task_id)]
    for start in range(0, len(found), LOOKED_UP_AT_ONCE):
        some = found[start : start + LOOKED_UP_AT_ONCE]
        ours = Task.objects.filter(pk__in=some, machine__in=["", storage.machine()])
        kept = set(ours.exclude(status__in=[Status.COMPLETED, Status.CANCELLED]).values_list("pk", flat=True))
        for task_id in some:
            if task_id not in kept:
                storage.discard(task_id)


def _mend(task: Task) -> None:
    if task.lease is None or storage.is_held(task.id):
        return  # its child is about to die; our lease runs out, and the next sweep sees it again
    try:
        goes_on = task.stop in GOES_ON
        if goes_on and task.status == Status.PROCESSING and library().is_stored(task.file_name, task.file_size):
            runner.complete(task, task.lease, task.file_size)
            return
        runner.withdraw(task)
        if not goes_on:
            runner.carry_out_stop(task, task.lease)
        else:
            task.hand_back(task.lease)
            live.task_changed(task)
            logger.info("The worker of the task is gone; it waits for another")
    except LeaseLost:
        logger.info("Somebody else was faster to mend the task")
    except LibraryUnreachable as error:  # the lease runs out, and the next sweep sees it again
        logger.warning("Whether the file of the task is in the library cannot be asked: %s", error)


class Sweeper(threading.Thread):
    """Sweeps until it is told to stop, and says that this process is alive and takes so many downloads at once."""

    def __init__(self, concurrency: int | None = None) -> None:
        """Make it; `start` starts it. Without a number this process takes as many as all together may."""
        super().__init__(name="recovery", daemon=True)
        self._concurrency = concurrency
        self._beaten = 0  # the number in the last sign of life
        self._stopped = threading.Event()
        self._beat_at: float | None = None  # when the next sign of life is due, by the monotonic clock
        self._empty_at = self._forget_at = 0.0

    def run(self) -> None:
        """Sweep every second; an error in one sweep is logged and the next one tries again."""
        while not self._stopped.wait(SWEEP_EVERY):
            self._try(self._look_after)
        actors.places.open(0)  # nothing new begins when nobody looks after it any more
        self._try(lambda: WorkerProcess.objects.leave(actors.worker_name()))
        connection.close()

    @property
    def concurrency(self) -> int:
        """How many downloads this process takes at once now."""
        return Tuning.objects.in_force().max_downloads if self._concurrency is None else self._concurrency

    def stop(self) -> None:
        """Stop; returns when it has."""
        self._stopped.set()
        self.join()

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:
            logger.exception("The sweep failed; the next one tries again")
            connection.close()

    def _look_after(self) -> None:
        now, concurrency = time.monotonic(), self.concurrency
        actors.places.open(concurrency)
        if self._beat_at is None or now >= self._beat_at or concurrency != self._beaten:
            is_start, self._beat_at, self._beaten = self._beat_at is None, now + BEAT_EVERY, concurrency
            WorkerProcess.objects.beat(
                actors.worker_name(), concurrency=concurrency, version=VERSION, is_start=is_start
            )
        sweep()
        if now >= self._empty_at:
            self._empty_at = now + EMPTY_EVERY
            empty_leftover_folders()
            sum_up()
        if now >= self._forget_at:
            self._forget_at = now + FORGET_EVERY
            forget()
