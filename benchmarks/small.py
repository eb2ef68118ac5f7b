from benchmarks.case import Figure, case_of_file

CASE = case_of_file(
    Figure(
        name="1 MiB",
        counts="One file of 1 MiB, from `add` to completed, as a listener of the feed hears it; of the others the "
        "whole run of the program.",
        unit="s",
        target=0.15,
    ),
    "1MiB.mp4",
)
