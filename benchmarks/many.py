"""50 files of 1 MiB by `batch/add` and `batch/start`, to the last completed."""

from benchmarks.bench import YT_DLP, compare

NUMBER = 50


def links(bench):
    return [bench.url(f"1MiB.mp4?n={number}") for number in range(NUMBER)]


if __name__ == "__main__":
    compare(
        __doc__,
        "s",
        {
            "ours": lambda bench: bench.seconds(*links(bench)),
            "yt-dlp": lambda bench: bench.run(*YT_DLP, "-o", "%(autonumber)s.%(ext)s", *links(bench))[0],
        },
    )
