"""The project's settings on a data folder that is thrown away, whatever the developer's environment says."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

for name in [name for name in os.environ if name.startswith("DOWNIE_") or name == "REDIS_URL"]:
    del os.environ[name]
_folder = tempfile.mkdtemp(prefix="downie-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.environ["DOWNIE_ENV_FILE"] = os.devnull
os.environ["DOWNIE_DATA_DIR"] = _folder
os.environ["DOWNIE_ALLOWED_NETWORKS"] = "127.0.0.0/8"

from downie_project.settings import *  # noqa: E402, F403
from downie_project.settings import DATABASES  # noqa: E402

# A file, since threads and their connections have to see the same database
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["TEST"] = {"NAME": str(Path(_folder) / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
