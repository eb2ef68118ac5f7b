"""An administrator of a running service, at its admin."""

import os
import re
import subprocess
import sys

import httpx

from tests.service import PROJECT

PASSWORD = "a-long-password"
ADMIN = "/admin/downloads/"


class Administrator:
    """Made and logged in."""

    def __init__(self, service):
        subprocess.run(
            [sys.executable, "manage.py", "createsuperuser", "--noinput", "--username=admin", "--email="],
            cwd=PROJECT,
            env=service.environment | {"DJANGO_SUPERUSER_PASSWORD": PASSWORD, "PATH": os.environ["PATH"]},
            check=True,
            capture_output=True,
        )
        self.http = httpx.Client(base_url=service.url, timeout=30, follow_redirects=True)
        self.http.get("/admin/login/")
        self._post("/admin/login/?next=/admin/", {"username": "admin", "password": PASSWORD})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()

    def page(self, path):
        return self.http.get(ADMIN + path).text

    def add(self, model, **form):
        """The page that comes after it."""
        page = self._post(f"{ADMIN}{model}/add/", {"is_active": "on"} | form).text
        assert "errornote" not in page, page
        return page

    def change(self, path, form):
        """The page that comes after it."""
        page = self._post(path, form).text
        assert "errornote" not in page, page
        return page

    def clear(self, model):
        """Delete all rows of this model."""
        rows = re.findall(r'name="_selected_action" value="([^"]+)"', self.page(f"{model}/"))
        self._post(f"{ADMIN}{model}/", {"action": "delete_selected", "_selected_action": rows, "post": "yes"})

    def _post(self, path, form):
        answer = self.http.post(path, data=form | {"csrfmiddlewaretoken": self.http.cookies["csrftoken"]})
        assert answer.status_code == 200, answer.text
        return answer
