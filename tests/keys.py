"""API keys as rows of a running service's database, which `manage.py apikey` would make there a second later."""

from downloads.models import ApiKey, Scope

COLUMNS = "public_id, name, digest, may_read, may_add, may_manage, created_at"


def make_key(service, *scopes):
    """The text of a new key that is good for these, or for everything."""
    key = ApiKey(name="a test")
    text = key.draw_secret()
    may = [scope in (scopes or Scope) for scope in (Scope.READ, Scope.ADD, Scope.MANAGE)]
    insert = f"INSERT INTO downloads_apikey ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, CURRENT_TIMESTAMP)"
    service.rows(insert, key.public_id, key.name, key.digest, *may)
    return text


def revoke_key(service, key):
    service.rows("UPDATE downloads_apikey SET revoked_at = CURRENT_TIMESTAMP WHERE public_id = ?", id_of(key))


def id_of(key):
    return key.split("_")[1]


def bearer(key):
    return {"Authorization": f"Bearer {key}"}
