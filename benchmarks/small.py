"""One file of 1 MiB, from `add` to completed."""

from benchmarks.bench import CURL, YT_DLP, compare

FILE = "1MiB.mp4"

if __name__ == "__main__":
    compare(
        __doc__,
        "s",
        {
            "ours": lambda bench: bench.seconds(bench.url(FILE)),
            "yt-dlp": lambda bench: bench.run(*YT_DLP, bench.url(FILE))[0],
            "curl": lambda bench: bench.run(*CURL, "-O", bench.url(FILE))[0],
        },
    )
