"""Whether the service in this container answers: exit code 0 if it does."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("DOWNIE_PORT") or 8000), timeout=4)
try:
    connection.request("GET", "/api/health")
    status = connection.getresponse().status
except OSError as error:
    sys.exit(f"The service does not answer: {error}")
sys.exit(0 if status == http.HTTPStatus.OK else f"The service answers with {status}.")
