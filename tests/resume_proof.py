"""The proof that resume works: downloads that are disturbed at random points, in the real service, from the origin.

`python -m tests.resume_proof` (`make prove-resume`) does it at many points and prints a table; `test_resume.py` at few.
"""

import argparse
import contextlib
import hashlib
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.origin import Origin, make_media, media_folder
from tests.service import Service, wait_until

ALONE = {"noetag": 1, "modified": ""}  # nothing by which a part could be told from one of another file
# Bytes a second of each connection, so that each takes some 3 seconds, how many requests the look-up makes of it, and
# what else is asked of the origin
KINDS = {
    "direct": ("/direct/video.mp4", 700_000, 1, ALONE),
    "direct, in parts": ("/direct/video.mp4", 170_000, 1, {}),
    "HLS": ("/hls/plain/index.m3u8", 190_000, 0, {}),
    "encrypted HLS": ("/hls/aes/index.m3u8", 190_000, 0, {}),
    "DASH, merged": ("/dash/manifest.mpd", 300_000, 0, {}),
    "HLS, merged": ("/hls/split/master.m3u8", 300_000, 0, {}),
}
# All at once, from one host, which they share: so that each has a few connections even after all begin together
SETTINGS = {"DOWNIE_MAX_CONCURRENT_DOWNLOADS": str(len(KINDS)), "DOWNIE_MAX_CONNECTIONS": "32"}
FRAGMENT = 150_000  # bytes: all but those of sound are longer
MERGED = ("DASH, merged", "HLS, merged")
MERGE = 0.02  # seconds that one takes at least
ACTIVE = ("starting", "downloading", "processing", "merging")


@dataclass(frozen=True)
class Outcome:
    """How one download came out. `status` is the one in which it was hit, `again` the bytes it cost more than usual."""

    kind: str
    disturbance: str
    status: str
    is_identical: bool
    again: int
    size: int

    @property
    def was_hit(self):
        return self.status in ACTIVE


class Proof:
    """Disturbs all kinds at once, in a service that downloads all of them at once.

    `until` is the latest point, as a share of the bytes of whichever is the furthest; `hurry` how much faster they are
    all.
    """

    def __init__(self, service, origin, seed, until=1.0, hurry=1):
        self.service = service
        self.origin = origin
        self.random = random.Random(seed)
        self.until = until
        self.hurry = hurry
        self.rounds = 0
        self.usual = {}
        tasks = self._begin()
        for kind, (link_id, task_id) in tasks.items():
            service.wait_for(task_id)
            self.usual[kind] = (self._digest(task_id), self._sent(link_id), service.file(task_id).stat().st_size)

    def at_points(self, disturb, points):
        """The outcomes of as many disturbances as it takes to hit each kind at so many points before its end."""
        outcomes, hits = disturb(self), Counter()
        while min(hits[outcome.kind] for outcome in outcomes) < points:
            outcomes += disturb(self)
            hits = Counter(outcome.kind for outcome in outcomes if outcome.was_hit)
        return outcomes

    def kill_children(self):
        return self._disturb("kill -9 of the child", self._kill_children)

    def kill_service(self):
        return self._disturb("kill -9 of the service", self._kill_service)

    def kill_in_merges(self):
        """One after the other, since a merge of so little is over soon. A hit is one whose ffmpeg still ran."""
        return [outcome for kind in MERGED for outcome in self._kill_in_merge(kind)]

    def cut_connections(self):
        """Of a direct file one connection breaks, of fragments one for each of them."""
        lengths = dict.fromkeys(KINDS, FRAGMENT) | {"direct": self.usual["direct"][2]}
        cuts = {kind: self.random.randrange(1, length) for kind, length in lengths.items()}
        return self._outcomes("a cut connection", self._begin(cuts), dict.fromkeys(KINDS, "downloading"))

    def _disturb(self, name, disturb):
        tasks = self._begin()
        point = self.random.uniform(0, self.until)
        wait_until(lambda: self._furthest(tasks) >= point, limit=120, pause=0.01)
        statuses = {kind: self.service.task(task_id)["status"] for kind, (_, task_id) in tasks.items()}
        disturb()
        return self._outcomes(name, tasks, statuses)

    def _kill_in_merge(self, kind):
        tasks = self._begin(only=(kind,), hurry=10)
        child = psutil.Process(self.service.group_of(tasks[kind][1]))
        wait_until(lambda: merges(child) or not child.is_running(), limit=30, pause=0.001)
        time.sleep(self.random.uniform(0, MERGE))
        status = "merging" if merges(child) else ""
        with contextlib.suppress(psutil.NoSuchProcess):  # too late: it is no hit
            child.kill()
        return self._outcomes("kill -9 in the merge", tasks, {kind: status})

    def _kill_children(self):
        for child in self.service.children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself
                child.kill()

    def _kill_service(self):
        self.service.kill()
        wait_until(lambda: not self.service.engine_processes(), limit=5)
        self.service.start()

    def _begin(self, cuts=None, only=tuple(KINDS), hurry=None):
        """Start a download of each of these kinds, with an id of its own in all its links."""
        self.rounds += 1
        self.origin.reset()
        tasks = {}
        for kind, (path, rate, looks, behaviour) in ((kind, KINDS[kind]) for kind in only):
            link_id = f"{self.rounds}-{kind}"
            cut = {"cut": cuts[kind], "cut_times": 1, "skip": looks} if cuts else {}
            link = self.origin.url(path, id=link_id, each=rate * (hurry or self.hurry), **behaviour, **cut)
            tasks[kind] = (link_id, self.service.download(link))
        return tasks

    def _outcomes(self, disturbance, tasks, statuses):
        return [self._outcome(kind, disturbance, statuses[kind], *task) for kind, task in tasks.items()]

    def _outcome(self, kind, disturbance, status, link_id, task_id):
        digest, sent, size = self.usual[kind]
        task = self.service.wait_for(task_id)
        return Outcome(
            kind=kind,
            disturbance=disturbance,
            status=status,
            is_identical=task["status"] == "completed" and self._digest(task_id) == digest,
            again=max(self._sent(link_id) - sent, 0),
            size=size,
        )

    def _digest(self, task_id):
        return hashlib.sha256(self.service.file(task_id).read_bytes()).hexdigest()

    def _furthest(self, tasks):
        """How much has been sent of the one of which most has."""
        return max(self._sent(link_id) / self.usual[kind][1] for kind, (link_id, _) in tasks.items())

    def _sent(self, link_id):
        return sum(record.bytes_sent for record in self.origin.requests if record.query.get("id") == link_id)


def merges(child):
    with contextlib.suppress(psutil.NoSuchProcess):
        return any(each.name() == "ffmpeg" for each in child.children())
    return False


def table(outcomes):
    """Lines: of each kind and disturbance how many were hit, how many of these are right, and what they cost."""
    rows = defaultdict(list)
    for outcome in outcomes:
        if outcome.was_hit:
            rows[outcome.disturbance, outcome.kind].append(outcome)
    yield f"{'disturbance':<24}{'kind':<18}{'identical':>12}{'fetched again: mean':>22}{'most':>18}"
    for (disturbance, kind), row in rows.items():
        right = sum(outcome.is_identical for outcome in row)
        mean, most = sum(outcome.again for outcome in row) / len(row), max(outcome.again for outcome in row)
        cost = [f"{each / 1000:.0f} kB ({each / row[0].size:.1%})" for each in (mean, most)]
        yield f"{disturbance:<24}{kind:<18}{f'{right} of {len(row)}':>12}{cost[0]:>22}{cost[1]:>18}"


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.resume_proof", description=__doc__)
    parser.add_argument("--points", type=int, default=50, help="of each kind and disturbance")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    options = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory() as folder, Origin(make_media(media_folder())) as origin:
        service = Service(Path(folder), **SETTINGS).start()
        try:
            proof = Proof(service, origin, options.seed)
            for disturb in (Proof.kill_children, Proof.kill_service, Proof.cut_connections, Proof.kill_in_merges):
                outcomes += proof.at_points(disturb, options.points)
        finally:
            service.stop()
    sys.stdout.writelines(f"{line}\n" for line in [f"\nSEED={options.seed}", *table(outcomes)])
    return 0 if all(outcome.is_identical for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
