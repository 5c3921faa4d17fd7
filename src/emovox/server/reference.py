"""The page /docs: what the OpenAPI document says, as plain HTML without any script."""

from html import escape
from typing import Any

_METHODS = ("get", "post")


def reference(document: dict[str, Any]) -> str:
    """Return an OpenAPI document as a page."""
    parts = [
        _section(path, method, item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}: reference</title>'
        f"\n<h1>{title} {escape(document['info']['version'])}</h1>\n"
        f"<p>{escape(document['info'].get('description', ''))}</p>\n"
        '<p>For programs: <a href="/openapi.json">openapi.json</a>. Live sessions are a WebSocket '
        "at <code>/v1/stream</code>, which OpenAPI cannot describe; docs/http.md does.</p>\n"
        f"{''.join(parts)}</html>\n"
    )


def _section(path: str, method: str, item: dict[str, Any]) -> str:
    rows = [
        _row(one["name"], "query", one["schema"], one.get("required", False))
        for one in item.get("parameters", ())
    ]
    body = item.get("requestBody", {}).get("content", {})
    for kind, content in body.items():
        needed = content["schema"].get("required", ())
        fields = content["schema"].get("properties", {"the body": content["schema"]})
        rows += [_row(name, kind, schema, name in needed) for name, schema in fields.items()]
    answers = "".join(
        f"<li>{status}: {escape(answer['description'])}</li>"
        for status, answer in item["responses"].items()
    )
    table = (
        "<table><tr><th>name<th>in<th>type<th>default<th>needed</tr>" + "".join(rows) + "</table>"
    )
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>\n"
        f"<p>{escape(item.get('description', ''))}</p>\n{table if rows else ''}\n"
        f"<ul>{answers}</ul>\n"
    )


def _row(name: str, where: str, schema: dict[str, Any], needed: bool) -> str:
    kind = " | ".join(schema.get("enum", ())) or schema.get("type", "")
    cells = (name, where, kind, schema.get("default", ""), "yes" if needed else "no")
    return "<tr>" + "".join(f"<td>{escape(str(cell))}" for cell in cells) + "</tr>\n"
