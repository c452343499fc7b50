"""What a program asks, in any of the forms that it may have, becomes requests."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock_shared.errors import PenstockError
from penstock_shared.request import Message, Request

Prompt = str | Sequence[Mapping[str, Any] | Message]


def numbered_request(
    number: int, item: Prompt | Mapping[str, Any] | Request, common: Mapping[str, Any]
) -> Request:
    """The request of an item. Raises InvalidRequest with the item's number."""
    try:
        return _as_request(item, common)
    except PenstockError as error:
        raise type(error)(f"item {number}: {error.message}") from None


def numbered_item(
    number: int, item: Prompt | Mapping[str, Any] | Request, common: Mapping[str, Any]
) -> tuple[str | None, Request]:
    """A custom_id, if the item has one, and the request."""
    if isinstance(item, Mapping) and "custom_id" in item:
        fields = {name: value for name, value in item.items() if name != "custom_id"}
        return str(item["custom_id"]), numbered_request(number, fields, common)
    return None, numbered_request(number, item, common)


def _as_request(item: Prompt | Mapping[str, Any] | Request, common: Mapping[str, Any]) -> Request:
    if isinstance(item, Request):
        return item
    if not isinstance(item, Mapping):
        return Request.build(item, **common)
    fields = {**common, **item}
    prompt = fields.pop("prompt", None)
    messages = fields.pop("messages", None)
    return Request.build(prompt if prompt is not None else messages or "", **fields)
