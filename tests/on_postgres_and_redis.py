"""`python -m tests.on_postgres_and_redis …` runs pytest with these arguments where the rows are in PostgreSQL.

Every service that a test starts has a database and a Redis of its own then, as one process of many would have.
"""

import os
import subprocess
import sys

from tests.postgres import postgres

if __name__ == "__main__":
    with postgres() as url:
        command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
        variables = os.environ | {"DATABASE_URL": url, "SUITE_POSTGRES": url}
        sys.exit(subprocess.run(command, env=variables, check=False).returncode)
