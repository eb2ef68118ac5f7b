"""Fill a service's database with finished tasks, and see what its workers do to it then.

`python -m benchmarks.large_library SIZE`, in the environment of the service, prints the times as JSON.
"""

import json
import sys

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from benchmarks.bench import ROUNDS_OF_ACTS, taken  # noqa: E402
from downloads import turns  # noqa: E402
from downloads.models import Task  # noqa: E402

TEMPLATE = "000000000000"
MACHINE = "bench"
WORDS = "CASE n % 4 WHEN 0 THEN ' about cooking' WHEN 1 THEN ' über Äpfel' WHEN 2 THEN ' 音乐视频' ELSE '' END"
# In what a row differs from the template, by column; `n` is its number, {…} what the two databases spell differently
ROW = {
    "id": "{id}",
    "url": "'https://video.example/watch?v=' || n",
    "title": f"'Video number ' || n || {WORDS}",
    "uploader": "'Channel ' || n % 5000",
    "media_id": "'m' || n",
    "status": "CASE n % 20 WHEN 0 THEN 'failed' WHEN 1 THEN 'cancelled' ELSE 'completed' END",
    "file_name": "CASE WHEN n % 20 < 2 THEN '' ELSE 'Video ' || n || '.mp4' END",
    "file_size": "n % 977 * 1000000",
    "stored_bytes": "n % 977 * 1000000",
    "created_at": "{moment}",
    "finished_at": "{moment}",
}
SPELLED = {
    "sqlite": {
        "id": "printf('%012x', n)",
        "moment": "strftime('%Y-%m-%d %H:%M:%f', 1577836800 + n * 60, 'unixepoch')",
        "numbers": "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {last}) SELECT n FROM s)",
    },
    "postgresql": {
        "id": "lpad(to_hex(n), 12, '0')",
        "moment": "to_timestamp(1577836800 + n * 60)",
        "numbers": "(SELECT * FROM generate_series(1, {last}) AS s(n))",
    },
}


def fill(size):
    """Put so many finished tasks into the database."""
    spelled = SPELLED[connection.vendor]
    Task.objects.create(pk=TEMPLATE, url="https://video.example/", status="cancelled", site="video.example")
    columns = [field.column for field in Task._meta.concrete_fields]  # noqa: SLF001  public by its documentation
    values = [ROW.get(column, f"t.{column}").format(**spelled) for column in columns]
    numbers = spelled["numbers"].format(last=size - 1)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO downloads_task ({', '.join(columns)}) SELECT {', '.join(values)} "
            f"FROM {numbers} AS numbers, downloads_task AS t WHERE t.id = '{TEMPLATE}'",
            None,
        )
        if connection.vendor == "postgresql":  # which does so by itself after a while; SQLite never does
            cursor.execute("ANALYZE")


def claims_and_sweeps():
    """The milliseconds of each."""
    waiting = iter([Task.objects.create(url="https://video.example/", status="queued") for _ in range(ROUNDS_OF_ACTS)])

    def claim():
        Task.objects.claim(next(waiting).pk, MACHINE, machine=MACHINE)

    def sweep():
        Task.objects.seize(MACHINE, MACHINE)
        room = Task.objects.running_on(MACHINE).bytes_to_come() + 10**12
        Task.objects.tell_room(room, is_all=True)
        turns.startable(MACHINE, room).count()

    figures = {"a claim": taken(claim), "a sweep": taken(sweep)}
    Task.objects.filter(worker=MACHINE).delete()
    return figures


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    fill(int(sys.argv[1]))
    json.dump(claims_and_sweeps(), sys.stdout)
