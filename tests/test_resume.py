"""What is killed or cut off goes on where it was, and the result is that of an undisturbed download."""

import random
import signal

import pytest

from tests.origin import Origin
from tests.resume_proof import SETTINGS, Proof
from tests.service import Service, wait_until

POINTS = 3  # of each disturbance; `make prove-resume` does it at many


@pytest.fixture(scope="module")
def proof(media, tmp_path_factory):
    """A service that downloads every kind at once, and what comes out undisturbed."""
    service = Service(tmp_path_factory.mktemp("proof") / "data", **SETTINGS)
    with Origin(media) as origin:
        yield Proof(service.start(), origin, seed=random.randrange(2**32), until=0.75, hurry=2)
        service.stop()


@pytest.mark.parametrize("disturb", [Proof.kill_children, Proof.kill_service, Proof.cut_connections])
def test_what_is_disturbed_at_random_points_comes_out_the_same_and_hardly_a_byte_is_fetched_twice(proof, disturb):
    are_right(proof, proof.at_points(disturb, POINTS))


def test_what_is_killed_in_its_merge_is_merged_again_and_not_fetched_again(proof):
    are_right(proof, proof.at_points(Proof.kill_in_merges, 1))


def are_right(proof, outcomes):
    assert [outcome for outcome in outcomes if not outcome.is_identical] == []
    # What lay in the buffers of its connections is lost: on a busy machine that is much of one, never of all of them
    assert [outcome for outcome in outcomes if outcome.again > 0.5 * outcome.size] == []
    assert sum(outcome.again for outcome in outcomes) < 0.15 * sum(outcome.size for outcome in outcomes)
    assert not list((proof.service.data / "work").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_the_middle_leaves_no_process_and_the_next_start_goes_on(fresh_service, origin, media, number):
    fresh_service.start()
    task_id = fresh_service.download(origin.url("/direct/video.mp4", rate=700_000))
    fresh_service.wait_for_bytes(task_id, 500_000)

    seconds = fresh_service.interrupt(number)

    assert seconds < 9
    assert fresh_service.process.returncode == 0
    wait_until(lambda: not fresh_service.engine_processes(), limit=20)
    fresh_service.start()
    assert fresh_service.wait_for(task_id)["status"] == "completed"
    assert fresh_service.file(task_id).read_bytes() == (media / "direct" / "video.mp4").read_bytes()
