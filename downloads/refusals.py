"""What cannot be done, and how that is said: one sentence for people, one word for programs."""

from django.utils.translation import gettext_noop

from downloads.states import Status


class Refused(Exception):
    """What was asked for cannot be done. `str()` is one sentence for people; `code` is the API's word for it."""

    def __init__(self, code: str, sentence: str, field: str = "", retry_after: int | None = None) -> None:
        """Take the code, the sentence, for bad input the field that it is about, and seconds until a retry is due."""
        super().__init__(sentence)
        self.code = code
        self.field = field
        self.retry_after = retry_after


def not_found() -> Refused:
    """There is no such task."""
    return Refused("TASK_NOT_FOUND", gettext_noop("There is no task with this id; it may have been deleted."))


def library_unreachable() -> Refused:
    """Finished files are elsewhere, and nobody answers there."""
    sentence = gettext_noop("The storage for finished files does not answer; try again later.")
    return Refused("LIBRARY_UNREACHABLE", sentence)


def not_startable(status: Status) -> Refused:
    """It cannot be queued from this state."""
    if status == Status.COMPLETED:
        return Refused(
            "TASK_ALREADY_COMPLETED",
            gettext_noop("This task is completed; add the link again to download it once more."),
        )
    return Refused("TASK_ALREADY_RUNNING", gettext_noop("This task is waiting or running already."))


def not_paused(status: Status) -> Refused:
    """It cannot be resumed from this state."""
    return Refused("TASK_NOT_PAUSED", f"This task is {status}; only a paused one can be resumed.")


def not_retryable(status: Status) -> Refused:
    """It cannot be retried from this state."""
    return Refused("TASK_NOT_RETRYABLE", f"This task is {status}; only a failed or cancelled one can be retried.")


def not_pausable(status: Status) -> Refused:
    """It cannot be paused in this state."""
    return Refused(
        "TASK_NOT_PAUSABLE", f"This task is {status}; only one that waits for its turn or downloads can be paused."
    )


def not_active(status: Status) -> Refused:
    """There is nothing to cancel in this state."""
    return Refused("TASK_NOT_ACTIVE", f"This task is {status}; there is nothing to cancel.")


# What sentences with a state in them come to, for the translators; whoever says one looks the whole of it up.
_OF_EVERY_STATE = (
    gettext_noop("This task is pending; only a failed or cancelled one can be retried."),
    gettext_noop("This task is queued; only a failed or cancelled one can be retried."),
    gettext_noop("This task is starting; only a failed or cancelled one can be retried."),
    gettext_noop("This task is downloading; only a failed or cancelled one can be retried."),
    gettext_noop("This task is processing; only a failed or cancelled one can be retried."),
    gettext_noop("This task is paused; only a failed or cancelled one can be retried."),
    gettext_noop("This task is completed; only a failed or cancelled one can be retried."),
    gettext_noop("This task is pending; only one that waits for its turn or downloads can be paused."),
    gettext_noop("This task is paused; only one that waits for its turn or downloads can be paused."),
    gettext_noop("This task is cancelled; only one that waits for its turn or downloads can be paused."),
)
