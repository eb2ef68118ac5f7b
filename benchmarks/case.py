"""What a benchmark is: contenders that do the same in turn, and the figures that come of it."""

import shutil
from dataclasses import dataclass, field

from benchmarks.bench import CURL, YT_DLP, prepared
from benchmarks.results import OURS, result


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number that a case measures: a line of the table in docs/performance.md.

    `name` is what a later run finds it by, `counts` says what is counted from where to where, and `target`, where there
    is one, is what we want on a machine of 2 cores: at most that, or at least that where more is better.
    """

    name: str
    counts: str
    unit: str
    target: float | None = None
    more_is_better: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is done, by contender: functions that take a `Bench`.

    Each gives the number of the figure, or a tuple where there are several figures. The service has these `settings`,
    and so many finished tasks from before.
    """

    figures: list
    contenders: dict
    settings: dict = field(default_factory=dict)
    tasks: int = 0

    def run(self, rounds):
        """The results of all its figures. In each round every contender has one turn; without curl it has none."""
        able = {name: do for name, do in self.contenders.items() if name != "curl" or shutil.which(CURL[0])}
        turns = {name: [] for name in able}
        with prepared(self.tasks, **self.settings) as bench:
            for _ in range(rounds):
                for name, do in able.items():
                    found = do(bench)
                    turns[name].append(found if isinstance(found, tuple) else (found,))
        return [
            result(figure, {name: [each[index] for each in found] for name, found in turns.items()})
            for index, figure in enumerate(self.figures)
        ]


def case_of_file(figure, file):
    """How many seconds a single file takes us, yt-dlp and curl."""
    return Case(
        figures=[figure],
        contenders={
            OURS: lambda bench: bench.seconds(bench.url(file)),
            "yt-dlp": lambda bench: bench.run(*YT_DLP, bench.url(file))[0],
            "curl": lambda bench: bench.run(*CURL, "-O", bench.url(file))[0],
        },
    )
