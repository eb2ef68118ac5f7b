"""Secrets at rest: encrypted with a key that is derived from Django's secret key (Fernet: AES-128 and HMAC)."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


class Unreadable(Exception):
    """What was sealed was sealed with another key: DOWNIE_SECRET_KEY (or the key in the data folder) has changed."""


def _fernet() -> Fernet:
    digest = hashlib.sha256(b"downloads.sealing:" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def seal(text: str) -> str:
    """Encrypt; an empty text stays empty."""
    return _fernet().encrypt(text.encode()).decode() if text else ""


def unseal(token: str) -> str:
    """Decrypt what `seal` gave.

    Raises:
        Unreadable: the key is another one by now.
    """
    try:
        return _fernet().decrypt(token.encode()).decode() if token else ""
    except InvalidToken:
        raise Unreadable("the secret key has changed since this was stored") from None
