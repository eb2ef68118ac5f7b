"""One file of 1 MiB, from `add` to completed."""

from benchmarks.bench import compare_file

if __name__ == "__main__":
    compare_file(__doc__, "1MiB.mp4")
