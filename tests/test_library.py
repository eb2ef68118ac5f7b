"""The library of a real service that has its own templates: names that sites choose, in folders, never outside."""

import hashlib
from urllib.parse import quote

import pytest

from tests.service import Service

FAMILY = "👨\u200d👩\u200d👧"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that sorts by uploader and date."""
    service = Service(
        tmp_path_factory.mktemp("service") / "data",
        DOWNIE_FOLDER_TEMPLATE="{uploader}/{date}",
        DOWNIE_FILENAME_TEMPLATE="{title} ({resolution})",
    )
    yield service.start()
    service.stop()


def downloaded(service, origin, title, author):
    task_id = service.download(origin.url("/page/titled.html", title=title, author=author))
    task = service.wait_for(task_id)
    assert task["status"] == "completed", task
    return task


def entries(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("said", "path"),
    [
        (("A film", "Ann"), "Ann/2026-03-01/A film (180p).mp4"),
        (("CON", "nul"), "_nul/2026-03-01/CON (180p).mp4"),
        ((f"{FAMILY} 🎬", "😀"), f"😀/2026-03-01/{FAMILY} 🎬 (180p).mp4"),
        (("فیلم \u202egpj.exe", "שלום"), "שלום/2026-03-01/فیلم gpj.exe (180p).mp4"),
        (("../../../etc/passwd", ".."), "2026-03-01/⧸..⧸..⧸etc⧸passwd (180p).mp4"),
        (("-rf", ".ssh"), "ssh/2026-03-01/_-rf (180p).mp4"),
        (("中" * 300, "视频 "), f"视频/2026-03-01/{'中' * 73} (180p).mp4"),
        (('What? "A": <B>', "a/b\\c"), "a⧸b⧹c/2026-03-01/What？ ＂A＂： ＜B＞ (180p).mp4"),
    ],
    ids=["plain", "devices", "emoji", "right to left", "a path", "a dash and a dot", "long", "separators"],
)
def test_whatever_a_site_says_becomes_a_safe_path(service, origin, media, said, path):
    task = downloaded(service, origin, *said)

    stored = service.library / path
    assert task["file_name"] == path
    assert hashlib.sha256(stored.read_bytes()).digest() == digest_of(media, "small.mp4")
    assert not list(service.library.rglob(".*"))


def digest_of(media, name):
    return hashlib.sha256(next(media.rglob(name)).read_bytes()).digest()


def test_a_file_in_a_folder_is_sent_under_its_own_name(service, origin):
    task = downloaded(service, origin, "Vidéo", "Zoë / Söhne")

    answer = service.http.get(task["file_url"])

    assert answer.content == service.file(task["id"]).read_bytes()
    assert answer.headers["Content-Disposition"].startswith(f"attachment; filename*=utf-8''{quote('Vidéo')}")
    assert "Zo" not in answer.headers["Content-Disposition"]


def test_among_many_of_one_name_the_first_free_number_is_taken(service, origin):
    folder = service.library / "Cy" / "2026-03-01"
    folder.mkdir(parents=True)
    for number in ("", *(f" ({each})" for each in range(2, 50) if each != 30)):
        (folder / f"Often (180p){number}.mp4").touch()

    assert downloaded(service, origin, "Often", "Cy")["file_name"] == "Cy/2026-03-01/Often (180p) (30).mp4"


def test_of_two_with_one_name_the_second_is_numbered_and_its_folder_goes_with_the_last(service, origin):
    first, second = (downloaded(service, origin, "Twice", "Bo") for _ in range(2))

    assert second["file_name"] == "Bo/2026-03-01/Twice (180p) (2).mp4"
    folder = service.library / "Bo"
    service.http.delete(f"/api/downloads/tasks/{first['id']}?delete_file=true")
    assert entries(folder) == ["2026-03-01", "2026-03-01/Twice (180p) (2).mp4"]
    service.http.post("/api/downloads/batch/delete?delete_file=true", json=[second["id"]])
    assert not folder.exists()


def test_a_folder_that_leads_out_of_the_library_is_not_followed(service, origin, tmp_path):
    (service.library / "Out").symlink_to(tmp_path)

    task_id = service.download(origin.url("/page/titled.html", title="A film", author="Out"))
    task = service.wait_for(task_id)

    assert (task["status"], task["error_reason"], task["file_name"]) == ("failed", "storage", "")
    assert "check the permissions and the state of the download folder" in task["error_message"]
    assert entries(tmp_path) == []


def test_sound_alone_has_no_resolution_whatever_it_was_cut_out_of(service, origin):
    task_id = service.download(origin.url("/page/titled.html", title="Song", author="Dee"), post_processing="audio")

    assert service.wait_for(task_id)["file_name"] == "Dee/2026-03-01/Song.m4a"


def test_a_chosen_name_goes_into_the_same_folders(service, origin):
    task_id = service.download(
        origin.url("/page/titled.html", title="A film", author="Cleo"), custom_filename="mine.mp4"
    )

    assert service.wait_for(task_id)["file_name"] == "Cleo/2026-03-01/mine.mp4"
