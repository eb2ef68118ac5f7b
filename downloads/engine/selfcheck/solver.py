"""Whether the challenges of YouTube could be solved: the scripts for it load in the JavaScript runtime."""

import subprocess
from typing import Final

from yt_dlp import YoutubeDL

from downloads.engine.selfcheck.findings import CheckFailed

TIME_LIMIT: Final = 20.0  # seconds
OPTIONS: Final = ("run", "--ext=js", "--no-prompt", "--no-remote", "--no-npm", "--no-lock", "--no-config", "-")


def check_solver() -> None:
    """Let yt-dlp choose its solver scripts, by version and hash, and load them in the deno that it finds; no network.

    Raises:
        CheckFailed: says what is missing.
    """
    with YoutubeDL({"quiet": True, "no_warnings": True, "cachedir": False}) as ydl:
        youtube = ydl.get_info_extractor("Youtube")
        youtube.initialize()
        providers = youtube._jsc_director.providers.values()  # noqa: SLF001  no other way to ask
        deno = next((each for each in providers if each.PROVIDER_NAME == "deno"), None)
        if deno is None or not deno.is_available():
            raise CheckFailed("yt-dlp finds no deno that is new enough for it")
        scripts = (deno._lib_script.code, "Object.assign(globalThis, lib);", deno._core_script.code)  # noqa: SLF001
        program = "\n".join((*scripts, "console.log(typeof jsc);"))
        run = subprocess.run(
            [deno.runtime_info.path, *OPTIONS],
            input=program,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
            check=False,
        )
    if run.stdout.strip() != "function":
        raise CheckFailed(f"the scripts do not load: {run.stderr.strip()[:200]}")
