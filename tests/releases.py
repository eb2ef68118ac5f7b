"""Releases of yt-dlp for tests: wheels made of the installed one, and folders such as an update leaves behind."""

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import yt_dlp

from tests.service import PROJECT

INSTALLED = distribution("yt-dlp").version
LATER, LATEST = f"{INSTALLED}.1", f"{INSTALLED}.2"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_wheel(folder, package, version, changes=()):
    """Pack what is installed of a package as another version, with (file, old, new) of its source changed."""
    found = distribution(package)
    name = found.name.replace("-", "_")
    changed = {file: (old, new) for file, old, new in changes}
    files = {str(file): file.locate() for file in found.files if is_source(file, name)}
    assert changed.keys() <= files.keys()
    about = f"{name}-{version}.dist-info"
    metadata = found.read_text("METADATA").replace(f"\nVersion: {found.version}\n", f"\nVersion: {version}\n")
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        _ = [wheel.writestr(file, source(path, *changed.get(file, ("", "")))) for file, path in files.items()]
        wheel.writestr(f"{about}/METADATA", metadata)
        wheel.writestr(f"{about}/WHEEL", WHEEL)
        wheel.writestr(f"{about}/RECORD", "".join(f"{file},,\n" for file in wheel.namelist()))


def is_source(file, name):
    return file.parts[0] == name and file.suffix != ".pyc"


def source(path, old, new):
    content = path.read_bytes()
    assert old.encode() in content
    return content.replace(old.encode(), new.encode()) if old else content


def put_release(root, version, requires=('yt-dlp-ejs==0.8.0; extra == "default"',)):
    """A folder such as an update leaves behind, with the files of the installed yt-dlp; nobody has switched to it."""
    folder = root / version
    about = folder / f"yt_dlp-{version}.dist-info"
    about.mkdir(parents=True)
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: yt-dlp\nVersion: {version}\n{needs}")
    (folder / "in-use").touch()
    (folder / "yt_dlp").symlink_to(Path(yt_dlp.__file__).parent)
    return folder


def break_release(folder):
    """Nobody can import its yt-dlp any more."""
    (folder / "yt_dlp").unlink()
    (folder / "yt_dlp").mkdir()
    (folder / "yt_dlp" / "__init__.py").write_text("raise RuntimeError('of no use')")


def command(service, *arguments, index=os.devnull):
    """`manage.py update-engine` on a service's data folder, as a process, with `index` as all that pip can see."""
    service.data.mkdir(parents=True, exist_ok=True)
    pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
    return subprocess.Popen(
        [sys.executable, "manage.py", "update-engine", *arguments],
        cwd=PROJECT,
        env=service.environment | pip,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_command(service, *arguments, index=os.devnull):
    """The same, to its end: exit status, output, complaints."""
    process = command(service, *arguments, index=index)
    output, complaints = process.communicate(timeout=120)
    return process.returncode, output, complaints
