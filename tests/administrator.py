"""An administrator of a running service, at its admin."""

import re

import httpx
from django.contrib.auth.hashers import PBKDF2PasswordHasher

PASSWORD = "a-long-password"
ADMIN = "/admin/downloads/"


COLUMNS = "username, password, first_name, last_name, email, is_superuser, is_staff, is_active, date_joined"


def make_administrator(service):
    """What `manage.py createsuperuser` would put into the database."""
    insert = f"INSERT INTO auth_user ({COLUMNS}) VALUES (?, ?, '', '', '', TRUE, TRUE, TRUE, CURRENT_TIMESTAMP)"
    service.rows(insert, "admin", PBKDF2PasswordHasher().encode(PASSWORD, "salt"))


class Administrator:
    """Made and logged in."""

    def __init__(self, service):
        make_administrator(service)
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
