"""What Flower shows, to those who know its password and to those who do not."""

import base64
import json
import urllib.request
from typing import Any, Final

from tests.acceptance.command import Home

_ANSWERS_S: Final = 100


def ask_flower(home: Home, path: str, *, password: str | None) -> str:
    """One page."""
    request = urllib.request.Request(f"{home.stack['flower_url']}{path}")
    if password is not None:
        token = base64.b64encode(f"penstock:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    with urllib.request.urlopen(request, timeout=_ANSWERS_S) as answer:
        text: str = answer.read().decode()
    return text


def password_of(home: Home) -> str:
    """Flower's password."""
    secrets: dict[str, str] = json.loads((home.folder / "secrets.json").read_text())
    return secrets["flower"]


def tasks_of(home: Home) -> dict[str, Any]:
    """All tasks that Flower has heard of, by id."""
    tasks: dict[str, Any] = json.loads(
        ask_flower(home, "/api/tasks?limit=10000", password=password_of(home))
    )
    return tasks
