"""The form of the page, as the server takes it: many links, finer wishes, duplicates, and links from elsewhere."""

import json
from html.parser import HTMLParser

import pytest

from downloads import operations
from downloads.models import Preset, Task
from downloads.operations import IfExists, Wish
from downloads.states import Status

pytestmark = pytest.mark.django_db

LINK = "https://example.com/watch"
JSON = {"HTTP_ACCEPT": "application/json"}


def test_each_line_is_a_link(client):
    client.post("/", {"url": f"{LINK}/1\n  {LINK}/2  \n\n{LINK}/1"})

    assert [task.url for task in Task.objects.order_by("created_at")] == [f"{LINK}/1", f"{LINK}/2"]


def test_links_may_stand_in_one_line(client):
    client.post("/", {"url": f"{LINK}/1 {LINK}/2"})

    assert Task.objects.count() == 2


def test_a_thousand_links_are_the_most(client):
    answer = client.post("/", {"url": "\n".join(f"{LINK}/{number}" for number in range(1001))})

    assert answer.status_code == 400
    assert not Task.objects.exists()


def test_scripts_are_told_what_became_of_each_link(client):
    there = operations.add(Wish(url=LINK)).task

    answer = client.post("/", {"url": f"{LINK}\nhttps://example.com/new\nftp://example.com/"}, **JSON).json()

    exists, created, refused = answer["results"]
    assert exists | {"title": ""} == {
        "url": LINK,
        "task_id": there.id,
        "status": "exists",
        "title": "",
        "sentence": "This is here already: Added.",
    }
    assert created["status"] == "created"
    assert refused["status"] == "error"
    assert refused["error"].startswith("Only web addresses")


def test_scripts_are_told_what_is_wrong_with_the_form(client):
    answer = client.post("/", {"url": LINK, "clip_from": "soon"}, **JSON)

    assert answer.status_code == 400
    assert "written like 1:30" in answer.json()["detail"]


def test_a_link_that_is_here_is_not_added_and_not_started(client):
    task = operations.add(Wish(url=LINK)).task

    page = client.post("/", {"url": "example.com/watch"})

    assert "This is here already: Added." in page.text
    assert f'href="/tasks/{task.id}"' in page.text
    task.refresh_from_db()
    assert (Task.objects.count(), task.status) == (1, Status.PENDING)


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_what_came_to_nothing_is_no_duplicate(client, status):
    Task.objects.create(url=LINK, status=status)

    client.post("/", {"url": LINK})

    assert Task.objects.count() == 2


def test_a_duplicate_can_be_had_all_the_same(client):
    operations.add(Wish(url=LINK))

    client.post("/", {"url": LINK, "again": "on"})

    assert Task.objects.count() == 2


def test_asking_counts_a_link_twice_in_one_batch(client):
    first, second = operations.add_all([Wish(url=LINK, if_exists=IfExists.ASK)] * 2)

    assert (first.is_new, second.is_new) == (True, False)
    assert first.task.pk == second.task.pk


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1:30", 90), ("1:02:03.5", 3723.5)])
def test_a_place_is_given_as_players_show_it(client, text, seconds):
    client.post("/", {"url": LINK, "clip_from": text})

    assert Task.objects.get().choices == {"section": {"from": seconds}}


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("clip_from", "1:2:3:4", "A place in the video"),
        ("clip_to", "99999999", "A place in the video"),
        ("subtitles", "english please!", "Languages are given by their codes"),
        ("playlist_items", "first", "Entries are given by their numbers"),
        ("playlist_items", "0", "choices"),
        ("custom_filename", "a/b", ""),
    ],
)
def test_what_makes_no_sense_is_said_and_adds_nothing(client, field, value, sentence):
    answer = client.post("/", {"url": LINK, field: value})

    assert answer.status_code == 400
    assert sentence in answer.text
    assert not Task.objects.exists()


def test_a_clip_that_ends_before_it_begins_is_refused(client):
    answer = client.post("/", {"url": LINK, "clip_from": "2:00", "clip_to": "1:00"})

    assert "A clip ends after it begins." in answer.text
    assert not Task.objects.exists()


def test_every_finer_wish_reaches_the_task(client):
    client.post(
        "/",
        {
            "url": LINK,
            "container": "mkv",
            "audio_format": "mp3",
            "sponsorblock": "cut",
            "thumbnail": "on",
            "playlist_items": "1-3, 7",
            "skip_existing": "on",
            "max_height": "720",
            "subtitles": "en",
            "auto_subtitles": "on",
            "cookies": "a=b",
        },
    )

    task = Task.objects.get()
    assert task.choices == {
        "container": "mkv",
        "audio_format": "mp3",
        "sponsorblock": "cut",
        "thumbnail": "embed",
        "playlist_items": "1-3,7",
        "skip_existing": True,
        "max_height": 720,
        "subtitles": {"languages": ["en"], "auto": True},
    }
    assert task.sealed_cookies
    assert "a=b" not in task.sealed_cookies


def form_of(client):
    """What a browser without scripts would post."""
    fields = Fields()
    fields.feed(client.get("/").text)
    return fields.values


class Fields(HTMLParser):
    """The values of the selects, as they are first seen."""

    def __init__(self):
        super().__init__()
        self.values, self.name = {}, ""

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.name = attrs["name"] if tag == "select" else self.name
        if tag == "option" and ("selected" in attrs or self.name not in self.values):
            self.values[self.name] = attrs["value"]


def test_a_preset_says_quality_and_format_unless_the_form_does(client):
    Preset.objects.create(name="phone", quality="480p", post_processing="mp4", choices={"max_height": 480})
    form = form_of(client)
    assert (form["preset"], form["quality"], form["post_processing"]) == ("", "", "")

    client.post("/", form | {"url": LINK, "preset": "phone"})
    client.post("/", form | {"url": LINK, "preset": "phone", "quality": "best", "again": "on"})

    untouched, chosen = Task.objects.order_by("created_at")
    assert (untouched.quality, untouched.post_processing, untouched.choices) == ("480p", "mp4", {"max_height": 480})
    assert (chosen.quality, chosen.post_processing) == ("best", "mp4")


def test_the_default_preset_is_chosen_beforehand_and_holds(client):
    Preset.objects.create(name="archive", quality="1080p")
    Preset.objects.create(name="phone", quality="480p", is_default=True)

    form = form_of(client)
    client.post("/", form | {"url": LINK})

    assert form["preset"] == "phone"
    assert Task.objects.get().quality == "480p"


def test_without_presets_there_is_no_choice_of_them(client):
    form = form_of(client)

    assert "preset" not in form
    assert (form["quality"], form["post_processing"]) == ("best", "none")


@pytest.mark.parametrize(
    "query",
    [
        {"url": LINK},
        {"text": f"Look at this! {LINK}", "title": "A film"},
        {"title": LINK},
    ],
)
def test_a_link_from_elsewhere_is_in_the_field_and_nothing_is_done(client, query):
    page = client.get("/add", query)

    assert f'value="{LINK}"' in page.text
    assert "This link was sent here from elsewhere." in page.text
    assert not Task.objects.exists()


def test_nobody_can_add_by_an_address_alone(client):
    assert client.post("/add", {"url": LINK}).status_code == 405
    assert not Task.objects.exists()


def test_the_app_can_be_installed_and_takes_shared_links(client):
    answer = client.get("/manifest.webmanifest")

    manifest = json.loads(answer.content)
    assert answer.headers["Content-Type"] == "application/manifest+json"
    assert manifest["share_target"] == {
        "action": "/add",
        "method": "GET",
        "enctype": "application/x-www-form-urlencoded",
        "params": {"title": "title", "text": "text", "url": "url"},
    }
    assert {icon["sizes"] for icon in manifest["icons"]} >= {"192x192", "512x512"}
    assert (manifest["start_url"], manifest["display"]) == ("/", "standalone")


def test_the_service_worker_looks_after_the_whole_site(client):
    answer = client.get("/service-worker.js")

    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "addEventListener" in answer.text
    assert '"fetch"' not in answer.text  # it would swallow deletions that are sent while a page is left


def test_the_bookmarklet_leads_to_this_service(client):
    page = client.get("/send-here", HTTP_HOST="localhost:9000")

    assert "javascript:void(open(&#x27;http://localhost:9000/add?url=&#x27;+encodeURIComponent(" in page.text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_can_be_chosen(client, theme):
    client.post("/theme", {"theme": theme})

    assert f'data-theme="{theme}"' in client.get("/").text


def test_a_theme_that_is_none_is_passed_over(client):
    client.post("/theme", {"theme": '"><script>'})

    assert "data-theme" not in client.get("/").text
