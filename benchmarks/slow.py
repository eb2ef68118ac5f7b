from benchmarks.case import Figure, case_of_file

CASE = case_of_file(
    Figure(
        name="64 MiB at 4 MB/s",
        counts="One file of 64 MiB from a server that gives 4 MB/s to each connection, from `add` to completed. With 8 "
        "connections from the first moment on it would be 2.1 s.",
        unit="s",
        target=2.4,
    ),
    "64MiB.mp4?rate=4000000",
)
