"""HTML by construction: whatever did not come out of `element` is text, and is escaped."""

from html import escape

_VOID = frozenset({"meta", "br"})
_PICTURES = {code: 0x2400 + code for code in range(32)} | {0x7F: 0x2421}


class Markup(str):
    """A finished piece of HTML."""

    __slots__ = ()


Child = str | Markup | None
Attribute = str | int | float | None


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Make an element.

    Args:
        name: of the element; never from outside.
        children: markup goes in as it is, any other string as text, None not at all.
        attributes: None leaves one out; a trailing underscore is dropped, others become hyphens.
    """
    opening = name + "".join(
        f' {_attribute(key)}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{opening}>")
    return Markup(f"<{opening}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Put pieces side by side."""
    return Markup("".join(_child(child) for child in children if child is not None))


def foreign(text: str) -> Markup:
    """Show text from outside in one line.

    What cannot be seen gets a picture, and marks of writing direction end where the text does.
    """
    return element("bdi", text.translate(_PICTURES))


def _child(child: str | Markup) -> str:
    return child if isinstance(child, Markup) else escape(child)


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
