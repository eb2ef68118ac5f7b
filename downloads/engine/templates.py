"""Templates for the names of files and folders: text with fields in braces, such as `{title} [{id}]`.

They are filled by this module alone and never by `str.format`: a field is one of a list, and has neither attributes nor
items, neither a width nor a conversion.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Final

FIELDS: Final = (
    "title",
    "id",
    "uploader",
    "site",
    "date",
    "resolution",
    "quality",
    "playlist",
    "playlist_index",
    "task",
)
MAX_LENGTH: Final = 200
MAX_LEVELS: Final = 5

_BRACKETS: Final = dict(zip("([{（【「《", ")]}）】」》", strict=True))
_FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f/\\<>:"|?*]')


class BadTemplate(ValueError):
    """It cannot be used. `str()` ends a sentence: what is wrong with it, and what to do."""


@dataclass(frozen=True)
class _Field:
    name: str

    def fill(self, values: Mapping[str, str]) -> str:
        return values[self.name]


@dataclass
class _Bracket:
    """A pair of brackets and what is between them; also the whole template, between two empty texts."""

    opening: str = ""
    closing: str = ""
    pieces: "list[str | _Field | _Bracket]" = field(default_factory=list)

    def fill(self, values: Mapping[str, str]) -> str:
        inside = self._inside(values)
        return f"{self.opening}{inside}{self.closing}" if inside else ""

    def _inside(self, values: Mapping[str, str]) -> str:
        filled, texts, is_missing = "", [""], False
        for piece in self.pieces:
            if isinstance(piece, str):
                texts.append(piece)
            elif value := piece.fill(values):
                # Where something between two values is missing, the longest of the texts around it stands for all.
                between = "" if is_missing and not filled else max(reversed(texts), key=len)
                filled += between + value
                texts, is_missing = [""], False
            else:
                is_missing = True
        return filled if is_missing else filled + "".join(texts)

    def add_text(self, text: str) -> None:
        last = self.pieces[-1] if self.pieces else None
        if isinstance(last, str):
            self.pieces[-1] = last + text
        else:
            self.pieces.append(text)

    def add_bracket(self, bracket: "_Bracket") -> None:
        if all(isinstance(piece, str) for piece in bracket.pieces):
            self.add_text(f"{bracket.opening}{''.join(map(str, bracket.pieces))}{bracket.closing}")
        else:
            self.pieces.append(bracket)


class Template:
    """One name, made of text and fields."""

    def __init__(self, text: str) -> None:
        """Read a template without folders.

        Raises:
            BadTemplate: it cannot be used.
        """
        if len(text) > MAX_LENGTH:
            raise BadTemplate(f"it can have at most {MAX_LENGTH} characters")
        if text.startswith("."):
            raise BadTemplate("a name cannot begin with a dot, which would hide it")
        self._text = text
        self._root, self.fields = _read(text)

    def __str__(self) -> str:
        return self._text

    def fill(self, values: Mapping[str, str]) -> str:
        """Put in a value for each of `FIELDS`; empty where none of its fields has one.

        A field without a value vanishes, with the brackets around it and the text between it and its neighbours, of
        which one text stays between two values: `{uploader} - {title} [{id}]` may come out as `Title`.
        """
        return self._root.fill(values)


def name_template(text: str) -> Template:
    """Read the template of a file's name, without its extension.

    Raises:
        BadTemplate: it cannot be used.
    """
    if "/" in text:
        raise BadTemplate("it is for names only; folders go into DOWNIE_FOLDER_TEMPLATE")
    template = Template(text)
    if not template.fields:
        raise BadTemplate(f"all files would have one name; use a field or more: {_listed()}")
    return template


def folder_templates(text: str) -> tuple[Template, ...]:
    """Read the template of folders, one for each level, with a slash between two; an empty text is none.

    Raises:
        BadTemplate: it cannot be used.
    """
    levels = text.split("/") if text else []
    if len(levels) > MAX_LEVELS:
        raise BadTemplate(f"it can have at most {MAX_LEVELS} levels of folders")
    if not all(level.strip() for level in levels):
        raise BadTemplate("one of its levels has no name; write single slashes, and between two names only")
    return tuple(Template(level) for level in levels)


def _read(text: str) -> tuple[_Bracket, frozenset[str]]:
    open_brackets, fields = [_Bracket()], set()
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise BadTemplate("its braces do not match; write {{ and }} where braces are meant as such") from None
    for literal, name, width, conversion in parts:
        for character in literal:
            _read_character(character, open_brackets)
        if name is not None:
            fields.add(_checked(name, f"{width or ''}{conversion or ''}"))
            open_brackets[-1].pieces.append(_Field(name))
    if len(open_brackets) > 1:
        raise BadTemplate(f"its bracket {open_brackets[-1].opening} is never closed")
    return open_brackets[0], frozenset(fields)


def _read_character(character: str, open_brackets: list[_Bracket]) -> None:
    inmost = open_brackets[-1]
    if _FORBIDDEN.match(character):
        raise BadTemplate(f"{character!r} cannot be in a name on all common systems; leave it out")
    if character in _BRACKETS:
        open_brackets.append(_Bracket(character, _BRACKETS[character]))
    elif character == inmost.closing:
        open_brackets.pop()
        open_brackets[-1].add_bracket(inmost)
    else:
        inmost.add_text(character)


def _checked(name: str, extra: str) -> str:
    if name not in FIELDS:
        raise BadTemplate(f"{{{name}}} is no field; the fields are {_listed()}")
    if extra:
        raise BadTemplate(f"a field stands alone in its braces; write {{{name}}}")
    return name


def _listed() -> str:
    return ", ".join(f"{{{name}}}" for name in FIELDS)
