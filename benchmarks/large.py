"""One file of 1 GiB: how fast, from `add` to completed, and its processor time."""

from benchmarks.bench import CURL, YT_DLP, compare

FILE, SIZE = "1GiB.mp4", 1024**3


def ours(bench):
    before = bench.cpu()
    seconds = bench.seconds(bench.url(FILE))
    return {"MB/s": SIZE / seconds / 1e6, "s of CPU": bench.cpu() - before}


def program(*command):
    def measure(bench):
        seconds, cpu = bench.run(*command, bench.url(FILE))
        return {"MB/s": SIZE / seconds / 1e6, "s of CPU": cpu}

    return measure


if __name__ == "__main__":
    compare(__doc__, "", {"ours": ours, "yt-dlp": program(*YT_DLP), "curl": program(*CURL, "-O")})
