"""JSON texts by their brackets, commas and strings alone: how deep they go, and of which parts.

A decoder gives up a whole text for what is wrong deep inside of one part: half a surrogate pair, or
a nesting that its stack does not hold. Here nothing is decoded, and any depth is the same.
"""

import re

MAX_DEPTH = 200
"""Levels of nesting in a value: what every decoder on the way can take, whatever its stack."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_BLANKS = b" \t\r\n"
# A string without an end goes to the end of the text: looked for again at its every quote, long
# ones would take minutes. What is repeated possessively must not fail halfway: before Python 3.11.5
# the match would go on from there.
_STRING = rb'"(?:[^"\\]++|\\.)*+"?+'
_mark = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb")*+([\[\]{},]|\Z)", re.DOTALL)
_brackets = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+([\[{]++|[\]}]++|\Z)", re.DOTALL)
_field = re.compile(rb'"((?:[^"\\]++|\\.)*+)"[ \t\r\n]*+:[ \t\r\n]*+(.+)', re.DOTALL)


def is_too_deep(text: bytes) -> bool:
    """Tell whether a value is nested too deeply; its syntax has been checked."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False  # nearly always
    depth = 0
    for bracket in _STRINGS.sub(b"", text).translate(None, delete=_NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def parts(text: bytes) -> list[bytes] | None:
    """Return the texts between the outermost commas of an array or an object.

    Each may still be anything but blank. None: there is an empty one, or the brackets do not match.
    """
    text = text.strip(_BLANKS)
    if text[:1] + text[-1:] not in (b"[]", b"{}"):
        return None
    found = []
    start = 1
    place: int | None = 1
    last = len(text) - 1
    while place is not None and (mark := _mark.match(text, place, last)) is not None:
        place = mark.end()
        match mark[1]:
            case b"[" | b"{":
                place = _end(text, place - 1, last)
            case b"," | b"":
                found.append(text[start : mark.start(1)].strip(_BLANKS))
                start = place
                if not mark[1]:
                    return [] if found == [b""] else None if b"" in found else found
            case _:
                break
    return None


def fields(text: bytes) -> dict[str, bytes]:
    """Return the texts of an object's values by their names; empty if it is no object.

    An escape in a name is left as it stands.
    """
    if not text.lstrip(_BLANKS).startswith(b"{"):
        return {}
    found = [_field.fullmatch(part) for part in parts(text) or ()]
    if None in found:
        return {}
    return {field[1].decode(errors="replace"): field[2] for field in found if field}


def _end(text: bytes, place: int, last: int) -> int | None:
    """Return where the array or object that begins at a place ends; None if it does not."""
    depth = 0
    for mark in _brackets.finditer(text, place, last):
        width = len(mark[1])
        if not width:
            break
        if text[mark.start(1)] in b"[{":
            depth += width
        elif width < depth:
            depth -= width
        else:
            return mark.end() - width + depth
    return None
