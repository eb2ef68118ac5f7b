"""The feed of a process: what its clients are told when they join, when they lag, and when news is late or lost."""

import asyncio
from types import SimpleNamespace

import pytest
from channels.layers import get_channel_layer

from downloads import access, consumers, frames, hub, live
from downloads.frames import Frame, Frames
from downloads.models import Task
from downloads.schemas import progress_json, task_json
from downloads.states import Status

pytestmark = pytest.mark.django_db(transaction=True)


class Listener:
    """A client that keeps all it is told."""

    caller, address = access.Caller(), "127.0.0.1"

    def __init__(self):
        self.heard = []
        self.came = asyncio.Event()
        self.is_dismissed = False

    def tell(self, told):
        self.heard += [(frame.kind, frame.task_id, frame.status) for frame in told]
        self.came.set()

    welcome = tell

    def dismiss(self):
        self.is_dismissed = True
        self.came.set()

    async def hears(self, number):
        """What it has heard, once that is so much."""
        async with asyncio.timeout(30):
            while len(self.heard) < number:
                self.came.clear()
                await self.came.wait()
        return self.heard


@pytest.fixture
async def join():
    """Makes clients that listen, each after its first message."""
    joined = []

    async def join():
        listener = Listener()
        joined.append((await hub.join(listener), listener))
        assert (await listener.hears(1))[0][0] == "initial"
        return listener

    yield join
    for its_hub, listener in joined:
        its_hub.remove(listener)


@pytest.fixture
def publish():
    """Publishes news of tasks as `live` does, in messages whose numbers may have gaps."""

    async def publish(*news, number=1, publisher="somebody"):
        message = {"type": live.MESSAGE_TYPE, "publisher": publisher, "number": number, "news": list(news)}
        await get_channel_layer().group_send(live.GROUP, message)

    return publish


def news_of(task):
    return {"task_id": task.id, "revision": task.revision, "task": task_json(task), "progress": progress_json(task)}


async def all_have_run():
    """Enough turns of the loop for whatever is ready, however long each takes."""
    for _ in range(100):
        await asyncio.sleep(0)


async def make_task(status=Status.PENDING, revision=1):
    return await Task.objects.acreate(url="https://example.com/video", status=status, revision=revision)


async def test_all_clients_hear_the_same_news_and_one_listener_is_enough(join, publish):
    first, second = await join(), await join()
    task = await make_task()

    await publish(news_of(task))

    assert await first.hears(3) == await second.hears(3)
    assert first.heard[1:] == [("task", task.id, "pending"), ("progress", task.id, "pending")]
    assert len(get_channel_layer().groups[live.GROUP]) == 1


async def test_who_is_the_last_to_leave_ends_the_listening():
    listener = Listener()
    its_hub = await hub.join(listener)

    its_hub.remove(listener)
    await all_have_run()

    assert live.GROUP not in get_channel_layer().groups
    assert not hub._hubs


async def test_late_news_of_an_earlier_state_is_passed_over(join, publish):
    task = await make_task(Status.COMPLETED, revision=5)
    listener = await join()

    task.revision, task.status = 4, Status.DOWNLOADING
    await publish(news_of(task))
    task.revision, task.status = 6, Status.QUEUED
    await publish(news_of(task), number=2)

    assert await listener.hears(3) == [
        ("initial", "", ""),
        ("task", task.id, "queued"),
        ("progress", task.id, "queued"),
    ]


async def test_what_a_newcomer_learns_and_the_others_have_not_heard_is_told_to_them(join):
    listener = await join()
    task = await make_task()  # and the news of it was lost

    newcomer = await join()

    assert await listener.hears(3) == [
        ("initial", "", ""),
        ("task", task.id, "pending"),
        ("progress", task.id, "pending"),
    ]
    assert newcomer.heard == [("initial", "", "")]


async def test_what_happens_while_a_newcomer_is_read_for_reaches_it(join, publish, monkeypatch):
    task, gone = await make_task(), await make_task()
    read, loop, is_read, may_go_on = hub.snapshot, asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def slowly():
        found = read()
        loop.call_soon_threadsafe(is_read.set)
        asyncio.run_coroutine_threadsafe(may_go_on.wait(), loop).result(30)
        return found

    monkeypatch.setattr(hub, "snapshot", slowly)
    listener = Listener()
    its_hub = await hub.join(listener)
    await is_read.wait()
    task.revision, task.status = 2, Status.QUEUED
    await publish(news_of(task), {"task_id": gone.id, "deleted": True})
    await all_have_run()
    may_go_on.set()

    heard = await listener.hears(4)
    its_hub.remove(listener)

    assert heard == [
        ("initial", "", ""),
        ("task", task.id, "queued"),
        ("progress", task.id, "queued"),
        ("deleted", gone.id, ""),
    ]


async def test_a_gap_in_the_numbers_sends_the_hub_to_the_database(join, publish):
    listener = await join()
    await publish(number=1)
    task = await make_task()

    await publish(number=3)

    assert await listener.hears(3) == [
        ("initial", "", ""),
        ("task", task.id, "pending"),
        ("progress", task.id, "pending"),
    ]


async def test_a_member_that_the_layer_has_forgotten_joins_it_again(join, publish, monkeypatch):
    monkeypatch.setattr(hub, "SILENCE", 0.1)
    listener = await join()
    get_channel_layer().groups.clear()  # as the one in memory does after a day

    async with asyncio.timeout(30):
        while ("deleted", "of nobody", "") not in listener.heard:
            await publish({"task_id": "of nobody", "deleted": True})
            await asyncio.sleep(0.05)


async def test_an_error_of_the_database_is_not_the_end(join, monkeypatch):
    monkeypatch.setattr(hub, "SILENCE", 0.1)
    monkeypatch.setattr(hub, "AFTER_ERROR", 0.1)
    listener = await join()
    look, failures = hub.changes_since, []

    def fail(known):
        if not failures:
            failures.append(known)
            raise RuntimeError("the database is gone")
        return look(known)

    monkeypatch.setattr(hub, "changes_since", fail)

    assert (await listener.hears(2))[1] == ("heartbeat", "", "")
    assert failures


async def test_whoever_may_not_listen_any_more_is_dismissed(join, monkeypatch):
    monkeypatch.setattr(hub, "ASK_AGAIN", 0.05)
    monkeypatch.setattr(access, "is_welcome", lambda caller, address: caller.key != 1)
    welcome, unwelcome = await join(), await join()
    unwelcome.caller = access.Caller(key=1)

    async with asyncio.timeout(30):
        while not unwelcome.is_dismissed:
            unwelcome.came.clear()
            await unwelcome.came.wait()

    assert not welcome.is_dismissed


# What waits for a client


def frame(task_id, kind="progress", status="downloading", payload=b"{}"):
    return Frame(payload, kind, task_id, status, 1)


def test_of_each_task_kind_and_state_the_newest_waits():
    old, new, other = frame("a"), frame("a"), frame("a", status="completed")

    assert [*Frames([old, other, new])] == [other, new]


def test_what_is_deleted_has_no_other_frames():
    gone = frame("a", "deleted", "")

    assert [*Frames([frame("a"), frame("b"), frame("a", "task", "queued"), gone])] == [frame("b"), gone]


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 100_000])
def test_a_frame_of_any_size_is_one_message_on_the_wire(size):
    payload = b"x" * size
    (part,) = Frames([frame("a", payload=payload)]).parts

    head = part.wire.removesuffix(payload)
    length = head[1] if size < 126 else int.from_bytes(head[2:])

    assert (head[0], length, len(head)) == (0x81, size, 2 if size < 126 else 4 if size < 65536 else 10)


def test_much_is_sent_in_parts():
    parts = Frames(frame(str(number), payload=b"x" * 1000) for number in range(200)).parts

    assert sum(len(part.payloads) for part in parts) == 200
    assert max(len(part.wire) for part in parts) < frames.PART_SIZE + 1500


@pytest.fixture
async def consumer(monkeypatch):
    """A consumer whose client reads when it is told to; what it was sent, and whether it has asked to join anew."""
    monkeypatch.setattr(consumers, "MOST_WAITING", 3)
    consumer = consumers.FeedConsumer()
    consumer.scope, consumer.reads, consumer.sent, consumer.joined = {"extensions": {}}, asyncio.Event(), [], []

    async def send(message):
        consumer.sent.append(message["text"])
        await consumer.reads.wait()

    consumer.base_send = send
    consumer._hub = SimpleNamespace(add=consumer.joined.append)
    consumer._begin(access.Caller())
    consumer._writer = asyncio.create_task(consumer._write())
    yield consumer
    consumer._writer.cancel()


async def test_a_client_that_lags_gets_the_newest_of_each(consumer):
    consumer.welcome(Frames([frame("", "initial", "", b"initial")]))
    await asyncio.sleep(0)
    for number in range(10):
        consumer.tell(Frames([frame("a", payload=str(number).encode())]))
        await asyncio.sleep(0)

    consumer.reads.set()
    await all_have_run()

    assert consumer.sent == ["initial", "9"]


async def test_a_client_that_is_too_far_behind_is_told_everything_anew_when_it_reads(consumer):
    consumer.welcome(Frames([frame("", "initial", "", b"initial")]))
    await asyncio.sleep(0)
    for number in range(10):
        consumer.tell(Frames([frame(str(number))]))
    assert not consumer.joined

    consumer.reads.set()
    await all_have_run()
    assert consumer.joined == [consumer]
    consumer.welcome(Frames([frame("", "initial", "", b"anew")]))
    await all_have_run()

    assert consumer.sent == ["initial", "anew"]


async def test_nothing_comes_before_the_first_message(consumer):
    consumer.reads.set()
    await consumer.receive('{"type": "ping"}')
    await all_have_run()
    assert consumer.sent == []

    consumer.welcome(Frames([frame("", "initial", "", b"initial")]))
    await all_have_run()

    assert consumer.sent == ["initial", '{"type":"pong"}']
