"""What an ELAN file (EAF) holds: tiers, and in each the annotations with their times."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat  # it bounds what entities expand to, from 2.4.1 on

from ..errors import TurnsError
from .fields import damaged

_MAX_REFERENCES = 100  # from an annotation to the one that has times; real files have a few
_KINDS = ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")


@dataclass(frozen=True)
class Tier:
    """A tier: its name, its participant, whether it depends on another, and its annotations.

    These are tuples of start and end in milliseconds, and a text.
    """

    name: str
    participant: str
    depends: bool
    annotations: list[tuple[int, int, str]] = field(default_factory=list)


@dataclass
class _Annotation:
    """An annotation as it stands in the file, with its line."""

    line: int
    tier: Tier
    attributes: Mapping[str, str]
    text: str = ""

    def get(self, name: str) -> str:
        """Return an attribute that has to be there."""
        if name not in self.attributes:
            raise TurnsError(f"line {self.line}: expected the annotation's {name}")
        return self.attributes[name]


def read_tiers(text: str) -> list[Tier]:
    """Read the tiers of an ELAN file; annotations without a text count as well.

    Raises
    ------
    TurnsError
        If it is damaged, or no ELAN file.
    """
    reading = _Reading()
    try:
        reading.parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        told = expat.errors.messages.get(error.code, "damaged")
        raise TurnsError(f"line {error.lineno}: expected XML: {told}") from None
    for annotation in reading.annotations:
        annotation.tier.annotations.append((*reading.times(annotation), annotation.text))
    return reading.tiers


class _Reading:
    """An ELAN file as it is parsed."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate("UTF-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.tiers: list[Tier] = []
        self.annotations: list[_Annotation] = []
        self._slots: dict[str, int | None] = {}
        self._by_id: dict[str, _Annotation] = {}
        self._root = ""
        self._is_value = False

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        line = self.parser.CurrentLineNumber
        if not self._root:
            self._root = name
            if name != "ANNOTATION_DOCUMENT":
                raise damaged(line, "<ANNOTATION_DOCUMENT>, an ELAN file", f"<{name}>")
        if name == "TIME_SLOT":
            self._slot(line, attributes)
        elif name == "TIER":
            if "TIER_ID" not in attributes:
                raise TurnsError(f"line {line}: expected the TIER_ID of a tier")
            participant, parent = (attributes.get(key, "") for key in ("PARTICIPANT", "PARENT_REF"))
            self.tiers.append(Tier(attributes["TIER_ID"], participant, bool(parent)))
        elif name in _KINDS:
            if not self.tiers:
                raise damaged(line, "a tier around the annotation", f"<{name}>")
            annotation = _Annotation(line, self.tiers[-1], attributes)
            self.annotations.append(annotation)
            self._by_id[annotation.get("ANNOTATION_ID")] = annotation
        elif name == "ANNOTATION_VALUE":
            self._is_value = bool(self.annotations)

    def _slot(self, line: int, attributes: dict[str, str]) -> None:
        value = attributes.get("TIME_VALUE")
        if "TIME_SLOT_ID" not in attributes:
            raise TurnsError(f"line {line}: expected the TIME_SLOT_ID of a time slot")
        plain = value is None or (value.isascii() and value.isdecimal() and len(value) < 13)
        if not plain:
            raise damaged(line, "a TIME_VALUE in milliseconds", str(value))
        self._slots[attributes["TIME_SLOT_ID"]] = None if value is None else int(value)

    def _end(self, name: str) -> None:
        if name == "ANNOTATION_VALUE":
            self._is_value = False

    def _text(self, data: str) -> None:
        if self._is_value:
            self.annotations[-1].text += data

    def _doctype(self, *_: object) -> None:
        raise damaged(self.parser.CurrentLineNumber, "an ELAN file", "a document type declaration")

    def times(self, annotation: _Annotation) -> tuple[int, int]:
        """Return the start and end of an annotation, or of the one that it refers to."""
        one, n_references = annotation, 0
        while "ANNOTATION_REF" in one.attributes:
            name = one.attributes["ANNOTATION_REF"]
            if name not in self._by_id or n_references > _MAX_REFERENCES:  # or in a circle
                raise damaged(annotation.line, "an ANNOTATION_REF to an annotation", name)
            one = self._by_id[name]
            n_references += 1
        return self._time(one, "TIME_SLOT_REF1"), self._time(one, "TIME_SLOT_REF2")

    def _time(self, annotation: _Annotation, which: str) -> int:
        name = annotation.get(which)
        time = self._slots.get(name)
        if time is None:
            raise damaged(annotation.line, f"a {which} to a time slot with a TIME_VALUE", name)
        return time
