"""HLS, 200 segments of 256 KiB, 50 ms before each answer, from `add` to completed."""

from benchmarks.bench import YT_DLP, compare

STREAM = "hls/index.m3u8?delay=0.05"

if __name__ == "__main__":
    compare(
        __doc__,
        "s",
        {
            "ours": lambda bench: bench.seconds(bench.url(STREAM)),
            "yt-dlp -N 8": lambda bench: bench.run(*YT_DLP, "-N", "8", bench.url(STREAM))[0],
        },
    )
