"""Webhooks: whoever asked for it is told of every task that ends, signed, at least once, and nowhere else."""

import datetime as dt
import json
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.contrib.admin.utils import quote
from django.db.models.functions import Now

from downloads import recovery, subscriptions, webhooks
from downloads.models import Event, Result, Task, WebhookDelivery, WebhookEndpoint
from downloads.sealing import unseal
from downloads.states import Status
from tests.receiver import Receiver, answers, in_turn
from tests.service import Service, wait_until
from tests.tasks import FAILURE, abandoned_task, task_in
from tests.test_api import is_error

EXAMPLE = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def webhook(service, receiver):
    """A webhook of the running service that leads to the receiver; it is gone after the test."""
    made = service.http.post("/api/webhooks", json={"url": receiver.url}).json()
    yield made
    service.http.delete(f"/api/webhooks/{made['id']}")


def log_of(service, webhook):
    return service.http.get(f"/api/webhooks/{webhook['id']}/deliveries").json()


def first_message(receiver, limit=10):
    return wait_until(lambda: receiver.got and receiver.got[0], limit)


def wait_for_delivery(service, webhook, status, limit=15):
    return wait_until(
        lambda: next((one for one in log_of(service, webhook) if one["status"] == status), None),
        limit,
        lambda: str(log_of(service, webhook)),
    )


# What is told


def test_a_completed_task_is_told_signed_and_as_the_list_shows_it(service, origin, receiver, webhook):
    task_id = service.download(origin.url("/direct/small.mp4"), cookies="session=very-secret")
    service.wait_for(task_id)

    message = first_message(receiver)
    content = message.verified(webhook["secret"])

    assert content["type"] == "task.completed"
    assert content["data"] == service.task(task_id)
    assert abs(dt.datetime.fromisoformat(content["timestamp"]).timestamp() - time.time()) < 60
    assert message.headers["Content-Type"] == "application/json"
    assert b"very-secret" not in message.body
    delivery = wait_for_delivery(service, webhook, "delivered")
    assert (delivery["id"], delivery["task_id"], delivery["event"]) == (message.id, task_id, "task.completed")
    assert (delivery["attempts"], delivery["last_code"], delivery["last_answer"]) == (1, 200, "thanks")
    assert delivery["last_duration"] > 0


def test_a_cancelled_task_is_told(service, receiver, webhook):
    task_id = service.add(EXAMPLE)
    service.http.post(f"/api/downloads/cancel/{task_id}")

    content = first_message(receiver).verified(webhook["secret"])

    assert (content["type"], content["data"]["id"]) == ("task.cancelled", task_id)


def test_a_failed_task_is_told(service, origin, receiver, webhook):
    task_id = service.download(origin.url("/no-such-page"))
    service.wait_for(task_id, "failed")

    content = first_message(receiver).verified(webhook["secret"])

    assert content["type"] == "task.failed"
    assert content["data"]["error_message"]


def test_only_what_was_asked_for_is_told(service, receiver, webhook):
    service.http.patch(f"/api/webhooks/{webhook['id']}", json={"events": ["task.completed"]})

    service.http.post(f"/api/downloads/cancel/{service.add(EXAMPLE)}")
    tested = service.http.post(f"/api/webhooks/{webhook['id']}/test").json()

    assert first_message(receiver).verified(webhook["secret"])["type"] == "webhook.test"
    assert [one["id"] for one in log_of(service, webhook)] == [tested["id"]]


def test_a_task_that_is_deleted_meanwhile_is_told_all_the_same(service, receiver, webhook):
    task_id = service.add(EXAMPLE)
    service.http.post(f"/api/downloads/cancel/{task_id}")
    service.http.delete(f"/api/downloads/tasks/{task_id}")

    assert first_message(receiver).verified(webhook["secret"])["data"]["id"] == task_id


# The API


def test_the_secret_is_shown_once_and_sealed_at_rest(service, webhook):
    assert webhook["secret"].startswith("whsec_")
    assert "secret" not in service.http.get(f"/api/webhooks/{webhook['id']}").json()
    assert webhook["secret"] not in service.http.get("/api/webhooks").text
    assert webhook["id"].encode() in service.kept()
    assert webhook["secret"].encode() not in service.kept()


def test_a_webhook_can_be_changed_and_deleted(service, webhook):
    address = f"/api/webhooks/{webhook['id']}"
    changed = service.http.patch(address, json={"description": "The media server", "active": False}).json()
    assert (changed["description"], changed["active"], changed["url"]) == ("The media server", False, webhook["url"])
    assert service.http.get(address).json() == changed
    assert service.http.delete(address).json() == {"message": "Webhook deleted", "webhook_id": webhook["id"]}
    assert is_error(service.http.get(address), 404, "WEBHOOK_NOT_FOUND")


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/", "ftp://example.com/", "http://a:b@c.de"],
)
def test_a_forbidden_target_is_refused_at_once(service, url):
    assert is_error(service.http.post("/api/webhooks", json={"url": url}), 400, "INVALID_URL")


@pytest.mark.parametrize("change", [{"url": "http://10.0.0.1/"}, {"url": "cats"}])
def test_a_change_to_a_forbidden_target_is_refused(service, webhook, change):
    assert is_error(service.http.patch(f"/api/webhooks/{webhook['id']}", json=change), 400, "INVALID_URL")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": None},
        {"url": 5},
        {"url": EXAMPLE, "events": []},
        {"url": EXAMPLE, "events": ["task.invented"]},
        {"url": EXAMPLE, "description": "x" * 201},
        {"url": EXAMPLE, "description": "a\0b"},
        {"url": ""},
        {"url": EXAMPLE, "active": 1},
    ],
)
def test_bad_input_is_refused(service, body):
    assert is_error(service.http.post("/api/webhooks", json=body), 422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/webhooks/0a1b2c3d4e5f", "WEBHOOK_NOT_FOUND"),
        ("GET", "/api/webhooks/a%00b", "WEBHOOK_NOT_FOUND"),
        ("DELETE", "/api/webhooks/0a1b2c3d4e5f", "WEBHOOK_NOT_FOUND"),
        ("POST", "/api/webhooks/0a1b2c3d4e5f/test", "WEBHOOK_NOT_FOUND"),
        ("GET", "/api/webhooks/0a1b2c3d4e5f/deliveries", "WEBHOOK_NOT_FOUND"),
        ("POST", "/api/webhooks/deliveries/msg_1/redeliver", "DELIVERY_NOT_FOUND"),
    ],
)
def test_what_is_not_there_is_said_so(service, method, path, code):
    assert is_error(service.http.request(method, path), 404, code)


def test_what_is_switched_off_gets_no_test(service, webhook):
    service.http.patch(f"/api/webhooks/{webhook['id']}", json={"active": False})
    assert is_error(service.http.post(f"/api/webhooks/{webhook['id']}/test"), 409, "WEBHOOK_INACTIVE")


# When it does not arrive


def test_it_is_tried_again_under_the_same_id(service, receiver, webhook):
    receiver.answer = in_turn(answers(500, b"not now"), answers(204, b""))

    service.http.post(f"/api/webhooks/{webhook['id']}/test")

    waiting = wait_until(lambda: next((one for one in log_of(service, webhook) if one["last_code"]), None))
    assert (waiting["status"], waiting["last_code"], waiting["last_answer"]) == ("waiting", 500, "not now")
    assert waiting["last_error"] == "It answered with the status 500 instead of one of 200 to 299."
    assert wait_for_delivery(service, webhook, "delivered")["attempts"] == 2
    assert receiver.got[0].id == receiver.got[1].id
    assert receiver.got[0].body == receiver.got[1].body


def test_gone_switches_the_webhook_off(service, receiver, webhook):
    receiver.answer = answers(410)

    service.http.post(f"/api/webhooks/{webhook['id']}/test")
    wait_for_delivery(service, webhook, "failed")

    shown = wait_until(
        lambda: (now := service.http.get(f"/api/webhooks/{webhook['id']}").json()) and not now["active"] and now
    )
    assert shown["disabled_because"] == "It answered 410 Gone: it wants to hear nothing more."


def test_a_redirect_is_not_followed(service, receiver, webhook):
    with Receiver() as elsewhere:
        receiver.answer = answers(307, Location=elsewhere.url)
        service.http.post(f"/api/webhooks/{webhook['id']}/test")
        failed = wait_until(lambda: next((one for one in log_of(service, webhook) if one["last_code"]), None))

        assert "is not followed" in failed["last_error"]
        assert not elsewhere.got


def test_it_can_be_delivered_again_by_hand(service, receiver, webhook):
    service.http.post(f"/api/webhooks/{webhook['id']}/test")
    delivered = wait_for_delivery(service, webhook, "delivered")

    answer = service.http.post(f"/api/webhooks/deliveries/{delivered['id']}/redeliver")

    assert (answer.status_code, answer.json()["status"]) == (200, "waiting")
    wait_until(lambda: len(receiver.got) == 2)
    assert [message.id for message in receiver.got] == [delivered["id"]] * 2


def test_nothing_is_lost_when_the_service_is_killed(fresh_service, receiver):
    fresh_service.start()
    made = fresh_service.http.post("/api/webhooks", json={"url": receiver.url}).json()
    reached, let_go = threading.Event(), threading.Event()
    receiver.answer = lambda _handler: reached.set() or let_go.wait(20)
    fresh_service.http.post(f"/api/downloads/cancel/{fresh_service.add(EXAMPLE)}")
    assert reached.wait(10)

    fresh_service.kill()
    receiver.answer = answers(200)
    fresh_service.rows("UPDATE downloads_webhookdelivery SET due_at = '2026-01-01 00:00:00'")  # its claim has run out
    fresh_service.start()

    delivered = wait_for_delivery(fresh_service, made, "delivered", limit=90)  # Redis gives the message back after 60 s
    let_go.set()
    assert [message.id for message in receiver.got] == [delivered["id"]] * 2


def test_webhooks_do_not_wait_for_downloads(tmp_path, origin, receiver):
    busy = Service(tmp_path / "data", DOWNIE_MAX_CONCURRENT_DOWNLOADS="1").start()
    made = busy.http.post("/api/webhooks", json={"url": receiver.url}).json()
    busy.wait_for(busy.download(origin.url("/direct/video.mp4", rate=10_000)), "downloading")
    busy.download(origin.url("/direct/small.mp4"))

    busy.http.post(f"/api/webhooks/{made['id']}/test")

    assert first_message(receiver, limit=20).verified(made["secret"])["type"] == "webhook.test"
    busy.stop()


def test_the_service_ends_at_once_though_an_endpoint_hangs(fresh_service, receiver):
    fresh_service.start()
    made = fresh_service.http.post("/api/webhooks", json={"url": receiver.url}).json()
    reached = threading.Event()
    receiver.answer = lambda _handler: reached.set() or time.sleep(20)
    fresh_service.http.post(f"/api/webhooks/{made['id']}/test")
    assert reached.wait(15)

    assert fresh_service.interrupt() < 5


# One try at a time, on rows


@pytest.fixture
def endpoint(db, receiver):
    endpoint, _secret = subscriptions.add(receiver.url, events=list(Event))
    return endpoint


def tried(delivery):
    """The delivery after one more try, made due if need be."""
    WebhookDelivery.objects.filter(pk=delivery.pk).update(due_at=Now())
    webhooks.deliver(delivery.pk)
    delivery.refresh_from_db()
    return delivery


def now():
    """By the database's clock."""
    return WebhookDelivery.objects.annotate(now=Now()).values_list("now", flat=True).first()


ENDINGS = {
    "finish": ("processing", lambda task: task.finish(task.lease, 5), "task.completed"),
    "fail": ("downloading", lambda task: task.fail(task.lease, FAILURE), "task.failed"),
    "cancel": ("queued", lambda task: task.cancel(), "task.cancelled"),
    "stopped": ("downloading", lambda task: (task.cancel(), task.stopped(task.lease)), "task.cancelled"),
}


@pytest.mark.parametrize(("status", "verb", "event"), ENDINGS.values(), ids=ENDINGS)
def test_every_verb_that_ends_a_task_makes_a_delivery(endpoint, status, verb, event):
    task = task_in(status)

    verb(task)

    made = WebhookDelivery.objects.get()
    assert (made.event, made.task_id, made.status) == (event, task.id, "waiting")
    assert json.loads(webhooks.body(made))["data"]["status"] == Task.objects.get().status


def test_tasks_that_are_cancelled_together_are_told_one_by_one(endpoint):
    tasks = [task_in("queued"), task_in("queued")]

    Task.objects.move_idle(tasks, Status.CANCELLED, finished_at=Now())

    told = {json.loads(webhooks.body(made))["data"]["id"] for made in WebhookDelivery.objects.all()}
    assert told == {task.id for task in tasks}


@pytest.mark.parametrize(
    "verb", [lambda task: task.hand_back(task.lease), lambda task: task.retry_later(task.lease, FAILURE, 1, 1)]
)
def test_a_task_that_goes_on_is_not_told(endpoint, verb):
    verb(abandoned_task())
    assert not WebhookDelivery.objects.exists()


def test_it_is_given_up_after_eight_tries_each_later_than_the_one_before(endpoint, receiver):
    receiver.answer = answers(503)
    delivery = endpoint.send_test()

    waits = [(tried(delivery).due_at - now()).total_seconds() for _ in range(7)]
    tried(delivery)

    expected = [5, 30, 120, 600, 3600, 3 * 3600, 6 * 3600]
    assert [0.75 * due < wait < 1.25 * due for wait, due in zip(waits, expected, strict=True)] == [True] * 7
    assert (delivery.status, delivery.attempts, len(receiver.got)) == ("failed", 8, 8)


def test_what_is_not_due_is_not_tried(endpoint, receiver):
    delivery = endpoint.send_test()
    webhooks.deliver(delivery.pk)
    webhooks.deliver(delivery.pk)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("verb", ["succeed", "give_up"])
def test_a_try_that_was_overtaken_writes_nothing(endpoint, verb):
    delivery = WebhookDelivery.objects.claim(endpoint.send_test().pk)
    claim = delivery.claim
    delivery.send_again()

    assert not getattr(delivery, verb)(claim, Result(code=200))

    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts, delivery.last_code) == ("waiting", 0, 0)


def test_what_is_switched_off_waits(endpoint, receiver):
    delivery = endpoint.send_test()
    endpoint.switch_off("enough")

    tried(delivery)
    assert (delivery.status, delivery.attempts, receiver.got) == ("waiting", 0, [])

    subscriptions.change(endpoint.pk, active=True)
    assert tried(delivery).status == "delivered"
    assert WebhookEndpoint.objects.get().disabled_because == ""


@pytest.mark.parametrize(("body", "kept"), [(b"x" * 300_000, "x" * 1024), (b"\xff\0", "\ufffd\ufffd")])
def test_little_of_an_answer_is_kept(endpoint, receiver, body, kept):
    receiver.answer = answers(200, body)
    assert tried(endpoint.send_test()).last_answer == kept


@pytest.mark.parametrize(
    "drip",
    [lambda _: time.sleep(30), lambda handler: [(handler.wfile.write(b"H"), time.sleep(0.1)) for _ in range(300)]],
    ids=["silence", "a byte now and then"],
)
def test_an_endpoint_that_takes_too_long_is_cut_off(endpoint, receiver, monkeypatch, drip):
    monkeypatch.setattr(webhooks, "TIME_LIMIT", 1.0)
    receiver.answer = drip
    began = time.monotonic()

    delivery = tried(endpoint.send_test())

    assert time.monotonic() - began < 15
    assert (delivery.status, delivery.last_error) == ("waiting", "There was no answer within 1 s.")


def test_an_endpoint_that_is_not_there_is_said_so(endpoint):
    WebhookEndpoint.objects.update(url="http://127.0.0.1:1/")
    assert tried(endpoint.send_test()).last_error == "It refused the connection."


def test_what_is_older_than_thirty_days_is_forgotten(endpoint):
    old, young = endpoint.send_test(), endpoint.send_test()
    WebhookDelivery.objects.filter(pk=old.pk).update(created_at=Now() - dt.timedelta(days=31))

    recovery.forget()

    assert [one.pk for one in WebhookDelivery.objects.all()] == [young.pk]


# Where it goes


@pytest.fixture
def names(monkeypatch):
    """What `hooks.example` stands for, one answer after the other; every question is kept in `asked`."""
    real = socket.getaddrinfo

    class Names:
        asked = []
        answers = []

    def look_up(host, port, *args, **options):
        mine = host == "hooks.example"
        Names.asked = [*Names.asked, host] if mine else Names.asked
        found = (Names.answers.pop(0) if len(Names.answers) > 1 else Names.answers[0]) if mine else [host]
        return [entry for each in found for entry in real(each, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return Names


def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(endpoint, receiver, names):
    with Receiver("127.0.0.2", port=receiver.port) as rebound:
        names.answers = [["127.0.0.1"], ["127.0.0.2"]]
        WebhookEndpoint.objects.update(url=f"http://hooks.example:{receiver.port}/a b?c=d")

        assert tried(endpoint.send_test()).status == "delivered"
        assert (len(receiver.got), len(rebound.got), len(names.asked)) == (1, 0, 1)
        assert receiver.got[0].headers["Host"] == f"hooks.example:{receiver.port}"
        assert receiver.got[0].path == "/a%20b?c=d"


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["::1"], ["127.0.0.1", "fe80::1"]])
def test_a_name_with_one_forbidden_address_gets_nothing(endpoint, receiver, names, addresses):
    names.answers = [addresses]
    WebhookEndpoint.objects.update(url=f"http://hooks.example:{receiver.port}/")

    delivery = tried(endpoint.send_test())

    assert "is not on the public internet" in delivery.last_error
    assert not receiver.got


def test_the_next_address_is_tried_when_one_does_not_answer(endpoint, receiver, names):
    names.answers = [["127.0.0.9", "127.0.0.1"]]
    WebhookEndpoint.objects.update(url=f"http://hooks.example:{receiver.port}/")
    assert tried(endpoint.send_test()).status == "delivered"


def test_no_proxy_of_the_environment_is_used(endpoint, receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert tried(endpoint.send_test()).status == "delivered"


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A certificate for `hooks.example`, which the system trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(*private) + made.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@pytest.fixture
def tls_receiver(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Receiver(context=context) as receiver:
        yield receiver


def test_over_tls_the_certificate_is_that_of_the_name(endpoint, tls_receiver, names):
    names.answers = [["127.0.0.1"]]
    WebhookEndpoint.objects.update(url=f"https://hooks.example:{tls_receiver.port}/")

    assert tried(endpoint.send_test()).status == "delivered"
    assert tls_receiver.got[0].verified(unseal(endpoint.sealed_secret))["type"] == "webhook.test"


def test_a_certificate_of_another_name_gets_nothing(endpoint, tls_receiver):
    WebhookEndpoint.objects.update(url=f"https://127.0.0.1:{tls_receiver.port}/")

    assert "certificate cannot be trusted" in tried(endpoint.send_test()).last_error
    assert not tls_receiver.got


# The admin


def test_an_administrator_sees_the_secret_of_a_new_webhook_once(admin_client, receiver):
    form = {"url": receiver.url, "events": ["task.failed"], "active": "on"}

    page = admin_client.post("/admin/downloads/webhookendpoint/add/", form, follow=True).text

    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.secret().replace("+", "&#x2B;") in page or endpoint.secret() in page
    assert endpoint.secret() not in admin_client.get("/admin/downloads/webhookendpoint/").text
    assert endpoint.events == ["task.failed"]


def test_an_administrator_cannot_enter_a_forbidden_target(admin_client):
    form = {"url": "http://10.0.0.1/", "events": ["task.failed"], "active": "on"}

    page = admin_client.post("/admin/downloads/webhookendpoint/add/", form).text

    assert "is not on the public internet" in page
    assert not WebhookEndpoint.objects.exists()


def test_an_administrator_sends_a_delivery_again(admin_client, endpoint):
    delivery = tried(endpoint.send_test())

    form = {"action": "send_again", "_selected_action": [delivery.pk]}
    page = admin_client.post("/admin/downloads/webhookdelivery/", form, follow=True).text

    delivery.refresh_from_db()
    assert "is on its way again" in page
    assert (delivery.status, delivery.attempts) == ("waiting", 0)
    assert admin_client.get(f"/admin/downloads/webhookdelivery/{quote(delivery.pk)}/change/").status_code == 200
