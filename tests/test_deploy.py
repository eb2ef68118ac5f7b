"""The files for installing it agree with the service that they install."""

import re

import pytest
import yaml

from downie_project.environment import Environment
from tests.service import PROJECT

FILES = [
    "Dockerfile",
    "compose.yaml",
    "docs/operations.md",
    *(f"deploy/{each.relative_to(PROJECT / 'deploy')}" for each in (PROJECT / "deploy").rglob("*.*")),
]


@pytest.mark.parametrize("file", FILES)
def test_every_setting_that_is_named_is_one(file):
    named = set(re.findall(r"DOWNIE_([A-Z_]+)", (PROJECT / file).read_text()))
    assert {name.lower() for name in named} <= {*Environment.model_fields, "env_file"}


def test_what_goes_into_the_image_is_there():
    kept = [line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert kept
    assert [name for name in kept if not (PROJECT / name).exists()] == []


def test_each_container_is_held_as_tightly_as_the_others():
    services = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
    assert set(services) == {"downie", "web", "worker", "postgres", "redis"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert {name for name, service in services.items() if "profiles" not in service} == {"downie"}
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
