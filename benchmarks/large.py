from benchmarks.bench import CURL, YT_DLP
from benchmarks.case import Case, Figure
from benchmarks.results import OURS

FILE, SIZE = "1GiB.mp4", 1024**3


def ours(bench):
    before = bench.cpu()
    seconds = bench.seconds(bench.url(FILE))
    return SIZE / seconds / 1e6, bench.cpu() - before


def program(*command):
    def measure(bench):
        seconds, cpu = bench.run(*command, bench.url(FILE))
        return SIZE / seconds / 1e6, cpu

    return measure


CASE = Case(
    figures=[
        Figure(
            name="1 GiB",
            counts="One file of 1 GiB: its bytes by the time from `add` to completed.",
            unit="MB/s",
            target=850,
            more_is_better=True,
        ),
        Figure(
            name="1 GiB, processor",
            counts="Processor time for the same file, of all processes of the service: user and system.",
            unit="s of CPU",
            target=0.9,
        ),
    ],
    contenders={OURS: ours, "yt-dlp": program(*YT_DLP), "curl": program(*CURL, "-O")},
)
