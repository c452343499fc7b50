"""The bundled Redis: durable, password-protected, on loopback."""

import shutil
import sys
import time
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from penstock_shared.errors import BrokerUnavailable, SettingsError
from penstock_shared.stack.processes import Child, free_port

_START_S: Final = 20.0


class RedisServer:
    """A redis-server of our own, with its data in ``folder``."""

    def __init__(self, folder: Path, password: str, log: Path) -> None:
        self.port = free_port()
        self._password = password
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        config = folder / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(_config(folder, self.port, password), encoding="utf-8")
        self.child = Child("redis", [_binary(), str(config)], log=log, environment={})

    @property
    def url(self) -> str:
        """Broker URL, password included."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until it answers. Raises BrokerUnavailable."""
        self.child.start()
        end = time.monotonic() + _START_S
        with Redis.from_url(self.url) as client:
            while time.monotonic() < end and self.child.is_running:
                try:
                    client.ping()
                except RedisError:
                    time.sleep(0.05)
                else:
                    return
        raise BrokerUnavailable(f"the bundled Redis did not start: {self.child.last_words()}")


def _binary() -> str:
    beside = Path(sys.executable).parent / "redis-server"
    found = str(beside) if beside.is_file() else shutil.which("redis-server")
    if found is None:
        raise SettingsError("no redis-server found; install penstock[cpu], or redis-server itself")
    return found


def _config(folder: Path, port: int, password: str) -> str:
    return "\n".join(
        (
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{folder}"',
            "appendonly yes",
            "appendfsync everysec",
            "maxmemory-policy noeviction",
            "daemonize no",
            "",
        )
    )
