"""A model of the life of a task: whatever users, workers, crashes and recovery do in whatever order, promises hold.

Hypothesis chooses the interleavings. Beside the rows stands a model of each task: the state it must be in, what was
asked of it, and which claim holds it. A worker that was declared dead keeps its claim and goes on trying to write.
"""

import os
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db.models import Count, Q
from django.db.models.functions import Now
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from downloads.models import STARTABLE, Attempt, LeaseLost, MoveRefused, Task
from downloads.states import FINISHED, PAUSABLE, RUNNING, UNFINISHED, of_playlist
from tests.tasks import FACTS, FAILURE

pytestmark = pytest.mark.django_db

LIVES = int(os.environ.get("LIVES", "50"))  # `make prove-lives` tries many
MOST = 3  # tasks at once: few enough that things happen to the same one
GONE = "gone"
GOES_ON = ("", "finish")
STRENGTH = ["", "finish", "pause", "cancel", "delete"]  # of requests to stop

any_task = st.integers(0, MOST - 1)
any_claim = st.integers(0, 3)


@dataclass
class Expected:
    """What a task must be."""

    status: str
    stop: str = ""
    lease: object = None
    attempts: int = 0
    playlist: str | None = None
    is_playlist: bool = False
    revision: int = 0
    name: str = ""


@dataclass
class Claim:
    """A worker's hold on a task. It keeps in its memory what it did last, whatever becomes of the row."""

    task: Task
    lease: object
    name: str = ""


class Lives(RuleBasedStateMachine):
    """Each rule does one thing to one row, and to its model."""

    def __init__(self):
        super().__init__()
        Task.objects.all().delete()
        self.model = {}
        self.claims = []
        self.names = 0

    def living(self):
        return [pk for pk, expected in self.model.items() if expected.status != GONE]

    def alone(self):
        return [pk for pk in self.living() if not self.model[pk].is_playlist]

    def nth(self, number):
        """A task, one that is no playlist; and what it must be."""
        pk = self.alone()[number % len(self.alone())]
        return pk, self.model[pk]

    def nth_claim(self, number):
        """One of the newest claims, held or lost; and what its task must be."""
        claim = self.claims[-1 - number % len(self.claims)]
        return claim, self.model[claim.task.pk]

    def is_held(self, claim):
        return self.model[claim.task.pk].lease == claim.lease

    there_is_a_task = precondition(lambda self: self.alone())
    there_is_a_claim = precondition(lambda self: self.claims)

    # People

    @precondition(lambda self: len(self.living()) < MOST)
    @rule()
    def add(self):
        task = Task.objects.create(url="https://example.com/v")
        self.model[task.pk] = Expected("pending")

    @there_is_a_task
    @rule(number=any_task)
    def start(self, number):
        pk, expected = self.nth(number)
        if self.ask(pk, Task.queue, STARTABLE):
            self.move(expected, "queued")

    @precondition(lambda self: len(self.living()) < MOST)
    @rule(steps=st.integers(0, 3), asked=st.sampled_from(["", "pause", "cancel"]))
    def add_and_begin(self, steps, asked):
        """All that usually happens first, so that what is rare happens often enough."""
        self.add()
        self.start(-1)
        self.claim(-1)
        for _ in range(steps):
            self.work(0)
        if asked:
            self.stop(-1, asked)

    @there_is_a_task
    @rule(number=any_task, verb=st.sampled_from(["pause", "cancel"]))
    def stop(self, number, verb):
        pk, expected = self.nth(number)
        allowed = PAUSABLE if verb == "pause" else UNFINISHED | {"cancelled"}
        if not self.ask(pk, getattr(Task, verb), allowed):
            return
        if expected.status in RUNNING:
            expected.stop = max(expected.stop, verb, key=STRENGTH.index)
        else:
            self.move(expected, "paused" if verb == "pause" else "cancelled")

    @there_is_a_task
    @rule(number=any_task)
    def remove(self, number):
        pk, expected = self.nth(number)
        if Task.objects.get(pk=pk).remove():
            assert expected.status not in RUNNING
            self.move(expected, GONE)
        else:
            assert expected.status in RUNNING
            expected.stop = "delete"

    @there_is_a_task
    @rule(number=any_task, quality=st.sampled_from(["best", "720p"]))
    def edit(self, number, quality):
        self.ask(self.nth(number)[0], lambda task: task.edit(quality=quality), STARTABLE)

    def ask(self, pk, verb, allowed):
        """A verb of people: done (True), or refused because of the state, and then it changes nothing."""
        task = Task.objects.get(pk=pk)
        if self.model[pk].status in allowed:
            verb(task)
            return True
        with pytest.raises(MoveRefused) as refused:
            verb(task)
        assert refused.value.status == self.model[pk].status
        return False

    # Workers

    @there_is_a_task
    @rule(number=any_task)
    def claim(self, number):
        pk, expected = self.nth(number)
        task = Task.objects.claim(pk, "host:1")
        assert (task is not None) == (expected.status == "queued")
        if task:
            expected.status, expected.lease = "starting", task.lease
            expected.attempts += 1
            self.claims.append(Claim(task, task.lease))

    @there_is_a_claim
    @rule(number=any_claim)
    def work(self, number):
        """The next step, as the worker sees it."""
        claim, _ = self.nth_claim(number)
        steps = {"starting": self.find, "downloading": self.end_download, "processing": self.store_and_finish}
        steps.get(claim.task.status, self.renew)(claim)

    @there_is_a_claim
    @rule(number=any_claim)
    def work_on(self, number):
        """Once more, so that things get on."""
        self.work(number)

    def find(self, claim):
        self.write(claim, lambda: claim.task.begin_download(claim.lease, FACTS), {"starting"}, "downloading")

    def renew(self, claim):
        self.write(claim, lambda: claim.task.renew(claim.lease, downloaded_bytes=5), RUNNING)

    def end_download(self, claim):
        if self.write(claim, lambda: claim.task.begin_processing(claim.lease), {"downloading"}, "processing"):
            expected = self.model[claim.task.pk]
            expected.stop = "" if expected.stop == "pause" else expected.stop

    def store_and_finish(self, claim):
        if claim.name:
            if self.write(claim, lambda: claim.task.finish(claim.lease, 5), {"processing"}, "completed"):
                self.model[claim.task.pk].name = claim.name
        else:
            self.names += 1
            claim.name = f"{self.names}.mp4"
            if self.write(claim, lambda: claim.task.reserve(claim.lease, claim.name, 5), {"processing"}):
                self.model[claim.task.pk].name = claim.name

    @there_is_a_claim
    @rule(number=any_claim, other=any_task)
    def ask_for_a_taken_name(self, number, other):
        claim, _ = self.nth_claim(number)
        others = [each.name for pk, each in self.model.items() if each.name and pk != claim.task.pk]
        if others and self.is_held(claim):
            assert claim.task.reserve(claim.lease, others[other % len(others)], 5) is False

    @there_is_a_claim
    @rule(number=any_claim, verb=st.sampled_from(["finish", "begin_processing", "find"]))
    def step_out_of_turn(self, number, verb):
        """What a row in another state refuses even to its holder."""
        claim, expected = self.nth_claim(number)
        turns = {"finish": "processing", "begin_processing": "downloading", "find": "starting"}
        if expected.status != turns[verb]:
            task, lease = claim.task, claim.lease
            verbs = {
                "finish": lambda: task.finish(lease, 5),
                "begin_processing": lambda: task.begin_processing(lease),
                "find": lambda: task.begin_download(lease, FACTS),
            }
            self.write(claim, verbs[verb], set())

    @there_is_a_claim
    @rule(number=any_claim, verb=st.sampled_from(["fail", "retry_later", "hand_back"]))
    def give_up(self, number, verb):
        claim, _ = self.nth_claim(number)
        if verb == "fail":
            self.write(claim, lambda: claim.task.fail(claim.lease, FAILURE), RUNNING, "failed")
        elif verb == "retry_later":
            again = {"delay": -1, "failures": 1}
            self.write(
                claim, lambda: claim.task.retry_later(claim.lease, FAILURE, **again), self.unstopped(claim), "queued"
            )
        else:
            self.hand_back(claim)

    def hand_back(self, claim):
        self.write(claim, lambda: claim.task.hand_back(claim.lease), self.unstopped(claim), "queued")

    def unstopped(self, claim):
        """Running states, as long as nobody has asked to stop: what is to stop never goes back into the queue."""
        return RUNNING if self.model[claim.task.pk].stop in GOES_ON else set()

    @there_is_a_claim
    @rule(number=any_claim)
    def do_what_is_asked(self, number):
        self.carry_out_stop(self.nth_claim(number)[0])

    def carry_out_stop(self, claim):
        ends = {"pause": "paused", "cancel": "cancelled", "delete": GONE}
        self.write(claim, lambda: claim.task.stopped(claim.lease), RUNNING, ends.get(self.model[claim.task.pk].stop))

    @there_is_a_claim
    @rule(number=any_claim)
    def expand(self, number):
        claim, parent = self.nth_claim(number)
        if parent.playlist or parent.status != "starting":
            return
        item = Task(url="https://example.com/item", playlist_index=1)
        verb = lambda: claim.task.expand(claim.lease, FACTS, [item], total=1, skipped=0)  # noqa: E731
        if self.write(claim, verb, {"starting"} if not parent.stop else set()):
            parent.lease, parent.is_playlist = None, True
            self.model[item.pk] = Expected("pending", playlist=claim.task.pk)

    def write(self, claim, verb, allowed, target=None):
        """A verb of a worker: done (True) if it holds the lease and the state allows it, else nothing is written."""
        expected = self.model[claim.task.pk]
        if self.is_held(claim) and expected.status in allowed:
            verb()
            if target:
                self.move(expected, target)
            return True
        before = Task.objects.filter(pk=claim.task.pk).values().first()
        with pytest.raises(LeaseLost):
            verb()
        assert Task.objects.filter(pk=claim.task.pk).values().first() == before
        return False

    def move(self, expected, target):
        expected.status = target
        if target not in RUNNING:
            expected.stop, expected.lease = "", None
        if target != "completed":
            expected.name = ""

    # Crashes and recovery

    @there_is_a_claim
    @rule(number=any_claim)
    def crash(self, number):
        """The worker is dead, or frozen beyond its lease; if it was another's by then, nothing happens to that."""
        claim, _ = self.nth_claim(number)
        Task.objects.filter(pk=claim.task.pk, lease=claim.lease).update(lease_expires_at=Now() - timedelta(seconds=1))

    @rule(dies=st.booleans())
    def recover(self, dies):
        """Every abandoned task gets a new holder, and it alone may write from now on. It may die at this, too."""
        abandoned = set(Task.objects.abandoned().values_list("pk", flat=True))
        seized = Task.objects.seize("host:2")
        assert {task.pk for task in seized} == abandoned
        for task in seized:
            expected = self.model[task.pk]
            assert task.lease != expected.lease
            expected.lease = task.lease
            claim = Claim(task, task.lease, expected.name)
            self.claims.append(claim)
            if not dies:
                (self.hand_back if expected.stop in GOES_ON else self.carry_out_stop)(claim)

    # Promises

    @invariant()
    def rows_are_what_they_must_be(self):
        rows = {task.pk: task for task in Task.objects.all()}
        assert sorted(rows) == sorted(self.living())
        for pk, task in rows.items():
            expected = self.model[pk]
            items = [self.model[each].status for each in self.living() if self.model[each].playlist == pk]
            status = of_playlist(items) if expected.is_playlist else expected.status
            found = (task.status, task.stop, task.lease, task.playlist_id, task.is_playlist, task.file_name)
            assert found == (
                *(status, expected.stop, expected.lease),
                *(expected.playlist, expected.is_playlist, expected.name),
            )
            assert (task.finished_at is not None) == (task.status in FINISHED)
            assert task.revision >= expected.revision
            expected.revision = task.revision

    @invariant()
    def attempts_are_numbered_and_one_is_open_while_it_runs(self):
        tasks = Task.objects.filter(is_playlist=False)
        counted = tasks.annotate(all=Count("attempts"), open=Count("attempts", filter=Q(attempts__ended_at=None)))
        for task in counted:
            assert (task.all, task.open) == (self.model[task.pk].attempts, int(task.status in RUNNING))
        numbers = Attempt.objects.order_by("task", "number").values_list("task", "number")
        wanted = [(pk, number + 1) for pk in sorted(self.living()) for number in range(self.model[pk].attempts)]
        assert list(numbers) == wanted


def test_whatever_happens_in_whatever_order_the_promises_hold():
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=LIVES,
            stateful_step_count=50,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink what fails takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
