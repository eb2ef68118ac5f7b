"""After a while of silence the feed says that it is still there; tested with a shorter while."""

import pytest
from channels.testing import WebsocketCommunicator

from downloads import consumers, hub
from downloads.models import Task

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def client(monkeypatch, settings):
    monkeypatch.setattr(hub, "SILENCE", 0.2)
    client = WebsocketCommunicator(
        consumers.FeedConsumer.as_asgi(), "/api/downloads/ws", headers=[(b"host", b"localhost")]
    )
    client.scope["client"] = ["127.0.0.1", 50_000]
    await client.connect()
    yield client
    await client.disconnect()


async def test_silence_is_broken_by_a_heartbeat(client):
    assert (await client.receive_json_from())["type"] == "initial"
    assert await client.receive_json_from() == {"type": "heartbeat"}
    assert await client.receive_json_from() == {"type": "heartbeat"}


async def test_news_that_the_layer_lost_is_caught_up_from_the_database(client):
    assert (await client.receive_json_from())["type"] == "initial"
    task = await Task.objects.acreate(url="https://example.com/unheard")
    heard = [await client.receive_json_from(), await client.receive_json_from()]
    assert [message["type"] for message in heard] == ["task", "progress"]
    assert heard[0]["task"]["id"] == task.id
    await Task.objects.all().adelete()
    assert await client.receive_json_from() == {"type": "deleted", "task_id": task.id}
