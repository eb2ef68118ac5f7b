"""Try everything that a download needs of a yt-dlp: `python -m downloads.engine.selfcheck UPDATES TOOLS FOLDER`.

Run as a program of its own, with the yt-dlp in question on its path and an environment made from nothing. It says one
line for each check, and ends with 0 when all of them passed. The network is not used, 127.0.0.1 excepted.
"""

import contextlib
import logging
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from subprocess import SubprocessError
from typing import Final

from downloads.engine import releases
from downloads.engine.ffmpeg import prepare_toolbox
from downloads.engine.process import Engine, EngineUnavailable
from downloads.engine.selfcheck.findings import CheckFailed
from downloads.engine.selfcheck.site import Site, make_media
from downloads.engine.selfcheck.trials import Trials

TIME_LIMIT: Final = 120  # seconds for all of it; it takes 3 on two idle cores


def main() -> int:
    """Check; the exit status of the process."""
    updates, tools, folder = (Path(argument) for argument in sys.argv[1:])
    signal.alarm(TIME_LIMIT)  # its default is to end the process
    logging.disable()  # what is found is said in the lines
    toolbox = prepare_toolbox(tools, override=tools)
    media = folder / "media"
    media.mkdir()
    with contextlib.closing(Engine(folder / "home", tools, updates)) as engine, Site(media) as site:
        # Where one of these fails, nothing after it would say more.
        if not (
            check("Every cure fits", check_cures)
            and check("The fork server starts", lambda: check_server(engine, updates))
            and check("ffmpeg makes a clip to download", lambda: make_media(toolbox.ffmpeg, media))
        ):
            return 1
        trials = Trials(engine, toolbox, site, folder)
        passed = [
            check("A file, killed halfway, goes on from its bytes", trials.direct),
            check("HLS with AES-128 over 8 threads, killed halfway, goes on", trials.hls),
            check("DASH with sound and picture apart is put together", trials.dash),
            check("The video in a page is found", trials.page),
            check("The JavaScript runtime loads the solver scripts", check_solver),
        ]
    return 0 if all(passed) else 1


def check_cures() -> None:
    """Import them only now: that a cure does not find what it is for is a finding, too."""
    import_module("downloads.engine.selfcheck.fit").check_cures()


def check_solver() -> None:
    """Likewise."""
    import_module("downloads.engine.selfcheck.solver").check_solver()


def check_server(engine: Engine, updates: Path) -> None:
    """Start it, with the very yt-dlp that is to be checked.

    Raises:
        CheckFailed: it does not start, or the engine had to take another yt-dlp.
    """
    wanted = releases.choose(updates)
    engine.warm_up()
    if releases.choose(updates) != wanted:
        raise CheckFailed(f"it does not, with yt-dlp {wanted.version}")


def check(sentence: str, work: Callable[[], None]) -> bool:
    """Do it, and say in a line whether it went well."""
    try:
        work()
    except (CheckFailed, EngineUnavailable, SubprocessError) as error:
        say(f"✗ {sentence}: {error}")
    except Exception as error:  # noqa: BLE001  a yt-dlp that has changed may raise anything; that is the finding
        say(f"✗ {sentence}: {type(error).__name__}: {error}")
    else:
        say(f"✓ {sentence}")
        return True
    return False


def say(line: str) -> None:
    """Print it at once, on one line."""
    print(" ".join(line.split()), flush=True)  # noqa: T201  this is a program's output


if __name__ == "__main__":
    sys.exit(main())
