from benchmarks.bench import YT_DLP
from benchmarks.case import Case, Figure
from benchmarks.results import OURS

NUMBER = 50


def links(bench):
    return [bench.url(f"1MiB.mp4?n={number}") for number in range(NUMBER)]


CASE = Case(
    figures=[
        Figure(
            name="50 × 1 MiB",
            counts="50 files of 1 MiB, from `batch/add` and `batch/start` to the last completed, each in a process of "
            "its own; of yt-dlp one run for all, one after the other.",
            unit="s",
            target=2.5,
        )
    ],
    contenders={
        OURS: lambda bench: bench.seconds(*links(bench)),
        "yt-dlp": lambda bench: bench.run(*YT_DLP, "-o", "%(autonumber)s.%(ext)s", *links(bench))[0],
    },
)
