"""How a check says that something is wrong."""


class CheckFailed(Exception):
    """It does not work; `str()` says what does not, as the end of a sentence."""
