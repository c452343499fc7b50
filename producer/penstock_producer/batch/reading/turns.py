"""The messages of an OpenAI body, as Penstock has them."""

from typing import Any, Final

from penstock_producer.batch.reading.line import BadLine, invalid

_PLAIN: Final = frozenset({"role", "content"})
_ROLES: Final = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


def turns_of(messages: object) -> list[dict[str, Any]]:
    """Check messages: parts of text are joined by line breaks, a developer is the system.

    Raises BadLine.
    """
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must be a list with at least one message", "messages")
    return [_turn(message, position) for position, message in enumerate(messages)]


def _turn(message: object, position: int) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise _wrong(position, "", "must be an object with role and content")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in _ROLES:
        raise _wrong(position, ".role", "must be system, developer, user or assistant")
    for name, value in message.items():
        if name not in _PLAIN and value is not None:
            raise _wrong(position, f".{name[:100]}", "is not supported; leave it out")
    if not isinstance(content, str):
        content = _joined(content, position)
    return {"role": _ROLES[role], "content": content}


def _joined(parts: object, position: int) -> str:
    if not isinstance(parts, list) or not parts:
        raise _wrong(position, ".content", "must be text or a list of parts of text")
    texts: list[str] = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else None
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(text, str):
            raise _wrong(
                position, ".content", "has a part that is no text; images and sound are not served"
            )
        texts.append(text)
    return "\n".join(texts)


def _wrong(position: int, field: str, what: str) -> BadLine:
    param = f"messages.{position}{field}"
    return invalid(f"{param} {what}", param)
