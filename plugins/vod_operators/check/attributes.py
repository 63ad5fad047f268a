"""Attribute lists and variables of playlists (RFC 8216bis 4.2, 4.3, 4.4.2.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from vod_operators.check.tags import FORMS, MAY_BE_EMPTY, QUOTED, UNQUOTED

Attributes = Mapping[str, str]
"""An attribute list, values without quotes."""

_ATTRIBUTE = re.compile(r'(\s*)([A-Z0-9-]+)(\s*)=(\s*)("[^"\r\n]*"|[^",\s][^,\r\n]*?)(\s*)(,|$)')
_REFERENCE = re.compile(r"\{\$([A-Za-z0-9_-]+)\}")
_VARIABLE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass
class Variables:
    """The variables of one playlist, in the order of its lines.

    :param uri: URI of the playlist, whose query parameters can be variables.
    :param imported: variables of the multivariant playlist; None if there is none.
    """

    uri: str
    imported: Mapping[str, str] | None
    values: dict[str, str] = field(default_factory=dict)

    def define(self, attributes: Attributes, errors: list[str], place: str) -> None:
        """Take the attributes of an EXT-X-DEFINE; violations are added to ``errors``."""
        kinds = [kind for kind in ("NAME", "IMPORT", "QUERYPARAM") if kind in attributes]
        if len(kinds) != 1:
            errors.append(f"{place}: EXT-X-DEFINE has not exactly one of NAME, IMPORT and QUERYPARAM")
            return
        name = attributes[kinds[0]]
        if kinds[0] == "NAME":
            value, missing = attributes.get("VALUE"), "EXT-X-DEFINE has no VALUE"
        elif kinds[0] == "IMPORT":
            value = (self.imported or {}).get(name)
            missing = f"no multivariant playlist defines {name}, which is imported"
        else:
            values = parse_qs(urlsplit(self.uri).query).get(name, [None])
            value, missing = values[0], f"its URI has no query parameter {name}"
        if not _VARIABLE.fullmatch(name):
            errors.append(f"{place}: {name!r} is not a name of a variable")
        if name in self.values:
            errors.append(f"{place}: the variable {name} is defined twice")
        if value is None:
            errors.append(f"{place}: {missing}")
        self.values[name] = value or ""

    def substituted(self, text: str, errors: list[str], place: str) -> str:
        """The text with the values of the variables that it refers to."""

        def value(reference: re.Match[str]) -> str:
            if reference[1] not in self.values:
                errors.append(f"{place}: {reference[0]} refers to a variable that is not defined before it")
            return self.values.get(reference[1], reference[0])

        return _REFERENCE.sub(value, text) if "{$" in text else text


def attribute_list(text: str, variables: Variables, errors: list[str], place: str) -> dict[str, str]:
    """An attribute list, values without quotes and with the values of variables.

    :param errors: violations are added here.
    :param place: in the playlist, for messages.
    """
    values: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _ATTRIBUTE.match(text, at)
        if match is None:
            errors.append(f"{place}: not an attribute list from {text[at : at + 30]!r} on")
            break
        name, value = match[2], match[5]
        quoted = value.startswith('"')
        if match[1] or match[3] or match[4] or match[6] or (not quoted and re.search(r"\s", value)):
            errors.append(f"{place}: whitespace around {name} in the attribute list")
        if name in values:
            errors.append(f"{place}: {name} appears twice")
        if name in (UNQUOTED if quoted else QUOTED):
            errors.append(f"{place}: {name} must{' not' if quoted else ''} be quoted")
        if value == '""' and name in QUOTED - MAY_BE_EMPTY:
            errors.append(f"{place}: {name} is empty")
        value = value.strip('"')
        if quoted or value.startswith(("0x", "0X", "{$")):
            value = variables.substituted(value, errors, place)
        if name in FORMS and value and not re.fullmatch(FORMS[name], value):
            errors.append(f"{place}: {name}={value} does not have the form of its value")
        values[name] = value
        at = match.end()
        if match[7] and at == len(text):
            errors.append(f"{place}: the attribute list ends with a comma")
    return values
