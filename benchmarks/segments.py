from benchmarks.bench import YT_DLP
from benchmarks.case import Case, Figure
from benchmarks.results import OURS

STREAM = "hls/index.m3u8?delay=0.05"

CASE = Case(
    figures=[
        Figure(
            name="HLS, 200 segments",
            counts="HLS of 200 segments of 256 KiB, 50 ms before each answer, from `add` to completed. The answers "
            "alone take 1.43 s when 8 are asked for at a time; to join them takes 0.15 s.",
            unit="s",
            target=1.8,
        )
    ],
    contenders={
        OURS: lambda bench: bench.seconds(bench.url(STREAM)),
        "yt-dlp": lambda bench: bench.run(*YT_DLP, bench.url(STREAM))[0],
        "yt-dlp -N 8": lambda bench: bench.run(*YT_DLP, "-N", "8", bench.url(STREAM))[0],
    },
)
