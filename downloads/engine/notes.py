"""What is said when something that was to come with a video is not there: English, translated by its template."""

import re
from typing import Final

from downloads.engine.words import gettext_noop

PICTURE: Final = gettext_noop("Without the picture: {detail}")
SPONSORS: Final = gettext_noop("Without what SponsorBlock knows: {detail}")
SUBTITLES: Final = gettext_noop("Without the subtitles {language}: {detail}")
LATE: Final = gettext_noop("Without what was to come with the video: {detail}")
NO_SUBTITLES: Final = gettext_noop("The site has no subtitles in the languages that were asked for.")
EMPTY_SUBTITLES: Final = gettext_noop("Without the subtitles {language}: there is nothing in them.")
NO_TAGS: Final = gettext_noop("Without tags and chapters: a file of the type {suffix} does not hold them.")
NO_CHAPTERS: Final = gettext_noop("Without chapters: a file of the type {suffix} does not hold them.")
NO_HARDWARE: Final = gettext_noop("Encoded by the processor: the encoder {encoder} cannot be used here. {detail}")
NOT_EMBEDDED: Final = gettext_noop("Without what was to go into the file: {detail}")

# The more special ones first
_TEMPLATES: Final = (
    *(EMPTY_SUBTITLES, SUBTITLES, NO_SUBTITLES, PICTURE, SPONSORS, LATE),
    *(NO_TAGS, NO_CHAPTERS, NO_HARDWARE, NOT_EMBEDDED),
)


def template_of(note: str) -> tuple[str, dict[str, str]]:
    """The template that a note was made of, and what filled it; the note itself and nothing where there is none."""
    for template in _TEMPLATES:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*?)", re.escape(template))
        if found := re.fullmatch(pattern, note, re.DOTALL):
            return template, found.groupdict()
    return note.replace("{", "{{").replace("}", "}}"), {}
