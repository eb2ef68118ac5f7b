"""64 MiB at 4 MB/s for each connection, from `add` to completed."""

from benchmarks.bench import compare_file

if __name__ == "__main__":
    compare_file(__doc__, "64MiB.mp4?rate=4000000")
