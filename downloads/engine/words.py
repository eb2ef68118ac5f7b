"""Marks for the translators, without Django."""


def gettext_noop(text: str) -> str:
    """Give the text back as it is; `make messages` finds it by this name and puts it into the translations.

    Django's own function of this name does the same, but the engine imports no Django. Whoever shows the text to
    people translates it then.
    """
    return text
