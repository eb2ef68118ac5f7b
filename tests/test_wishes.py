"""Finer wishes and presets: held to their limits, kept with the task, and said once under a name."""

import pytest

from downloads.engine.choices import Choices, from_builtins, to_builtins
from tests.test_api import EXAMPLE, is_error

PRESETS = "/api/downloads/presets"
EVERYTHING = {
    "audio_format": "opus",
    "container": "mkv",
    "video_codec": "av1",
    "max_height": 720,
    "max_filesize": 50_000_000,
    "subtitles": {"languages": ["en", "zh-Hans"], "auto": True, "place": "beside"},
    "thumbnail": "embed",
    "metadata": True,
    "chapters": True,
    "sponsorblock": "cut",
    "section": {"from": 10.5, "to": 20.0},
    "live_from_start": True,
    "playlist_items": "1-3,7",
    "skip_existing": True,
}


@pytest.fixture
def preset(service):
    """Store a preset; it is gone after the test."""
    names = []

    def put(name, **fields):
        names.append(name)
        return service.http.put(f"{PRESETS}/{name}", json=fields)

    yield put
    for name in names:
        service.http.delete(f"{PRESETS}/{name}")


def test_every_wish_of_the_engine_is_a_field_of_add(service):
    assert set(EVERYTHING) == set(Choices.__struct_fields__)
    assert service.task(service.add(EXAMPLE, **EVERYTHING))["choices"] == EVERYTHING


def test_what_is_as_usual_is_not_kept(service):
    assert service.task(service.add(EXAMPLE, container="source", metadata=False, max_height=0))["choices"] == {}


def test_a_wish_that_could_not_be_had_is_told_with_the_attempt(service, origin):
    task_id = service.download(origin.url("/direct/small.mp4"), subtitles={"languages": ["en"]})

    assert service.wait_for(task_id)["status"] == "completed"

    [attempt] = service.http.get(f"/api/downloads/tasks/{task_id}/attempts").json()
    assert attempt["notes"] == ["The site has no subtitles in the languages that were asked for."]


@pytest.mark.parametrize(
    "wish",
    [
        {"audio_format": "exe"},
        {"container": "mp4; rm -rf /"},
        {"max_height": -1},
        {"max_filesize": 2**60},
        {"metadata": "yes"},
        {"subtitles": {"languages": []}},
        {"subtitles": {"languages": ["en"], "place": "none"}},
        {"subtitles": {"languages": ["--exec"]}},
        {"subtitles": {"languages": ["en"] * 21}},
        {"section": {"from": 20, "to": 10}},
        {"section": {"from": -1}},
        {"section": {"to": 10, "step": 2}},
        {"playlist_items": "0"},
        {"playlist_items": "1-"},
        {"playlist_items": "::-1"},
    ],
)
def test_a_wish_that_cannot_be_is_refused_with_its_field(service, wish):
    answer = service.http.post("/api/downloads/add", json={"url": EXAMPLE, **wish})
    assert is_error(answer, 422, "VALIDATION_ERROR")
    assert answer.json()["errors"][0]["field"].split(".")[0] in wish


def test_wishes_are_changed_one_by_one(service):
    task_id = service.add(EXAMPLE, metadata=True, max_height=480)
    answer = service.http.patch(f"/api/downloads/tasks/{task_id}", json={"max_height": 720, "thumbnail": "beside"})
    assert answer.json()["choices"] == {"metadata": True, "max_height": 720, "thumbnail": "beside"}


def test_a_preset_says_what_a_task_does_not(service, preset):
    preset("phone", quality="480p", post_processing="mp4", metadata=True, container="mkv")
    task = service.task(service.add(EXAMPLE, preset="phone", quality="720p", container="source"))
    assert (task["quality"], task["post_processing"], task["choices"]) == ("720p", "mp4", {"metadata": True})


def test_the_default_preset_holds_where_none_is_named(service, preset):
    preset("usual", quality="360p", thumbnail="embed", is_default=True)
    preset("other", quality="1080p")
    assert service.task(service.add(EXAMPLE))["quality"] == "360p"
    assert service.task(service.add(EXAMPLE, preset="other"))["quality"] == "1080p"


def test_a_new_default_takes_the_place_of_the_old_one(service, preset):
    preset("first", is_default=True)
    preset("second", is_default=True)
    assert [each["name"] for each in service.http.get(PRESETS).json() if each["is_default"]] == ["second"]


def test_a_preset_is_replaced_as_a_whole(service, preset):
    preset("phone", quality="480p", metadata=True)
    assert preset("phone", quality="720p").json()["choices"] == {}
    assert service.http.get(f"{PRESETS}/phone").json()["quality"] == "720p"


def test_a_task_stays_as_it_is_when_its_preset_is_deleted(service, preset):
    preset("phone", quality="480p")
    task_id = service.add(EXAMPLE, preset="phone")
    assert service.http.delete(f"{PRESETS}/phone").json() == {"message": "Preset deleted", "name": "phone"}
    assert service.task(task_id)["quality"] == "480p"


def test_an_unknown_preset_is_said(service):
    assert is_error(service.http.get(f"{PRESETS}/nothing"), 404, "PRESET_NOT_FOUND")
    answer = service.http.post("/api/downloads/add", json={"url": EXAMPLE, "preset": "nothing"})
    assert is_error(answer, 422, "VALIDATION_ERROR")


@pytest.mark.parametrize("name", ["-rf", "a b", "ü", "x" * 51, "%2e%2e"])
def test_a_name_that_cannot_be_is_refused(service, name):
    assert is_error(service.http.put(f"{PRESETS}/{name}", json={}), 422, "VALIDATION_ERROR")


def test_the_wishes_survive_their_json():
    assert to_builtins(from_builtins(EVERYTHING)) == EVERYTHING
