"""The operators that an ONNX file asks for, read from its bytes before anything runs them."""

from collections.abc import Iterator

# Messages of ONNX that lead to operators: of each, the fields that matter and what they hold.
_FIELDS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node"},
    "function": {7: "node", 11: "attribute"},
    "node": {4: "operator", 5: "attribute", 7: "domain"},
    "attribute": {6: "graph", 11: "graph"},
}
_FIXED = {1: 8, 5: 4}  # bytes of the kinds of fields whose size is fixed


def operators(content: bytes) -> set[str]:
    """Return the names of all operators in an ONNX file, those in subgraphs and functions too.

    Operators of another domain than ONNX's own have it before their name: ``evil.com.Conv``.

    Raises
    ------
    ValueError
        If the bytes are no protocol buffer.
    """
    names = set()
    waiting = [("model", memoryview(content))]
    while waiting:
        kind, message = waiting.pop()
        texts = {"operator": "", "domain": ""}
        for field, inner in _messages(message):
            name = _FIELDS[kind].get(field, "")
            if name in texts:
                texts[name] = bytes(inner).decode(errors="replace")
            elif name:
                waiting.append((name, inner))
        if kind == "node":
            domain = texts["domain"]
            own = domain in ("", "ai.onnx")
            names.add(texts["operator"] if own else f"{domain}.{texts['operator']}")
    return names


def _messages(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of the fields of a protocol buffer that may hold others."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 2:
            size, place = _varint(message, place)
            yield (key & 0xFFFF_FFFF) >> 3, message[place : place + size]
            place += size
        elif kind == 0:
            _, place = _varint(message, place)
        elif kind in _FIXED:
            place += _FIXED[kind]
        else:
            raise ValueError("a field of an unknown kind")
    if place != len(message):
        raise ValueError("a field that is cut off")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number of variable length, and where it ends."""
    if place >= len(message):
        raise ValueError("a field that is cut off")
    if (first := message[place]) < 0x80:  # as most are
        return first, place + 1
    value = 0
    for index, byte in enumerate(message[place : place + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, place + index + 1
    raise ValueError("a number that does not end")
