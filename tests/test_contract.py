"""The OpenAPI document as a contract: what it says is what the service does."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
from django.core.management import call_command

PROJECT = Path(__file__).resolve().parent.parent
COMMITTED = PROJECT / "docs" / "openapi.json"


def test_the_committed_document_is_the_one_that_is_served(service):
    assert json.loads(COMMITTED.read_text()) == service.http.get("/api/openapi.json").json()


def test_the_committed_document_is_written_by_the_make_target(tmp_path):
    call_command("export_openapi_schema", api="downloads.api.api", sorted=True, indent=1, output=tmp_path / "document")
    assert (tmp_path / "document").read_text().rstrip() == COMMITTED.read_text().rstrip()


def answers(document):
    """Every JSON answer in the document, in both forms."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                for kind, content in response.get("content", {}).items():
                    yield f"{method} {path} {status} {kind}", content


def test_every_answer_in_the_document_has_an_example_that_fits_its_schema():
    document = json.loads(COMMITTED.read_text())
    shown = {name: content for name, content in answers(document) if "json" in name.rpartition(" ")[2]}
    assert len(shown) > 300
    for name, content in shown.items():
        schema = {**content["schema"], "components": document["components"]}
        assert "example" in content, name
        jsonschema_rs.validate(schema, content["example"])


def test_nothing_that_fits_the_document_is_answered_against_it(fresh_service):
    """Schemathesis with all its checks; no answer against its schema, no status that is not documented, no 5xx."""
    fresh_service.environment["DOWNIE_EXTRACT_TIME_LIMIT"] = "3"  # most addresses that it makes up lead nowhere
    fresh_service.start()
    run = subprocess.run(
        [
            str(Path(sys.executable).parent / "st"),
            f"--config-file={PROJECT / 'tests' / 'schemathesis.toml'}",
            "run",
            f"{fresh_service.url}/api/openapi.json",
            "--phases=examples,coverage,fuzzing,stateful",
            "--max-examples=5",
            "--seed=1",
            "--no-color",
            "--request-timeout=20",
            "--generation-database=none",
        ],
        cwd=fresh_service.data,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:]
