"""Every case, in the order of the table; each is a small file of its own."""

from benchmarks import bookkeeping, cancel, feed, idle, large, listing, many, memory, segments, slow, small

CASES = {
    "small": small.CASE,
    "many": many.CASE,
    "large": large.CASE,
    "segments": segments.CASE,
    "slow": slow.CASE,
    "memory": memory.CASE,
    "idle": idle.CASE,
    "listing": listing.CASE,
    "cancel": cancel.CASE,
    "bookkeeping": bookkeeping.CASE,
    "feed": feed.CASE,
}
