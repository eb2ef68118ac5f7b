"""A real S3 server as a process of its own, and a line to it that can be slow or cut."""

import contextlib
import socket
import subprocess
import sys
import threading
import time

import boto3
from botocore.config import Config

from tests.service import free_port, wait_until

BUCKET = "films"
KEY, SECRET = "a-key", "a-secret"
CHUNK = 64 * 1024


class S3Server:
    """moto's server; what is in the bucket is asked from it directly."""

    def __init__(self, log):
        self.port = free_port()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                stdout=output,
                stderr=output,
            )
        wait_until(self._answers, 30)
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(s3={"addressing_style": "path"}),
        )
        self.client.create_bucket(Bucket=BUCKET)

    def _answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def names(self):
        return sorted(found["Key"] for found in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", []))

    def read(self, key):
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def uploads(self):
        """Those in parts that are neither done nor broken off."""
        return self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])

    def parts(self):
        """How many parts have come of what is under way."""
        return sum(
            len(self.client.list_parts(Bucket=BUCKET, Key=each["Key"], UploadId=each["UploadId"]).get("Parts", []))
            for each in self.uploads()
        )


class Line:
    """Passes bytes on to a port of this machine: `rate` bytes a second on the way there, or none at all while cut."""

    def __init__(self, target):
        self.target = target
        self.rate = None
        self.is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError):
            if self.is_cut:
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                back = threading.Thread(target=self._pass_on, args=[server, client, lambda _: None], daemon=True)
                back.start()
                self._pass_on(client, server, self._pause)
                back.join()

    def _pause(self, size):
        time.sleep(size / self.rate if self.rate else 0)

    def _pass_on(self, source, sink, pause):
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                pause(len(data))
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
