"""The command on a store on a server: what is not for it, its doctor, and that passwords stay unseen."""

from __future__ import annotations

import tarfile
from pathlib import Path

import psycopg
import pytest
from shells import Shell

from postroom.console import serverdoctor
from postroom.console.findings import Finding
from postroom.console.main import main
from postroom.console.settings import load
from postroom.store.postgres.engine import open_postgres
from postroom.store.postgres.urls import read_url

SECRET = "s3same"


@pytest.fixture
def url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL with a password in it, which a server that trusts its socket does not ask for."""
    with_password = postgres_url.replace("postgres@", f"postgres:{SECRET}@", 1)
    if with_password == postgres_url:
        pytest.skip("the server in POSTROOM_TEST_POSTGRES has a password of its own")
    monkeypatch.setenv("POSTROOM_STORE", with_password)
    return with_password


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (("backup", "b.db"), "pg_dump"),
        (("restore", "b.db"), "postroom copy"),
        (("repair",), "postroom verify --deep"),
    ],
)
def test_what_is_for_files_names_what_to_use_instead(
    shell: Shell, url: str, words: tuple[str, ...], instead: str
) -> None:
    assert shell.error(*words, code=2) == "bad_input"
    assert instead in shell.err
    assert SECRET not in shell.err
    assert not Path("b.db").exists()


def test_no_command_shows_the_password(shell: Shell, url: str) -> None:
    said = ""
    for line in (
        "doctor", "pair t --manager m --worker w", "status", "doctor", "verify", "metrics",
        "heartbeat t --role worker",
        "loop status t", "wakeup plan t", "poll worker/w", "poll worker/x", "inbox list", "repair", "show 1",
        f"{url}", f"--store {url}", f"copy --from {url} --to {url}", f"copy --from {url}x --to sqlite:///a.db",
        f"send {url} --type t --body 1", f"restore {url}", f"copy --from http://{url} --to x",
        f"status --store {url}&nonsense=1", f"status --store {url.replace('postgres:', 'postgres/:')}",
        "status --store postgresql://u:s3same@127.0.0.1:1/db", "doctor --store postgresql://u:s3same@[::1/db",
    ):  # fmt: skip
        for option in ("--json", "--debug"):
            shell.run(*line.split(), option)
            said += shell.out + shell.err
    assert "***" in said
    assert SECRET not in said


def test_the_commands_that_pair_prints_work_where_the_password_is_known(shell: Shell, url: str) -> None:
    commands = shell.json("pair", "t", "--manager", "m", "--worker", "w")["commands"]["worker"]
    assert ":***@" in commands[0]
    shown = shell.json("status")["store"]
    assert shell.json("status", "--store", shown)["store"] == shown
    assert shell.run("poll", "--store", shown, "worker/w") == 4


def test_a_run_keeps_its_logs_where_it_is_started(shell: Shell, url: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[convoy]\nname = "c"\n[tasks.one]\ncommand = "echo made"\n')
    run = shell.json("run", "c.toml")
    assert run["logs"].startswith(f"{tmp_path}/.postroom/runs/")
    assert "made" in next(Path(run["logs"]).rglob("*.log")).read_text()


def test_what_a_task_prints_of_its_environment_is_exported_without_the_password(
    shell: Shell, url: str, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text(
        '[convoy]\nname = "c"\n[tasks.one]\ncommand = "echo store $POSTROOM_STORE; exit 1"\n'
    )
    run = shell.json("run", "c.toml", code=1)["run"]
    shown = shell.out
    shell.json("export", run, "run.tar")
    assert shell.run("events", run, "--ndjson") == 0
    shown += shell.out
    with tarfile.open("run.tar") as export:
        parts = [export.extractfile(name) for name in export.getnames()]
        shown += "".join(part.read().decode() for part in parts if part is not None)
    assert "store postgres" in shown
    assert SECRET not in shown


def test_a_server_that_is_not_there_is_one_line(shell: Shell) -> None:
    assert shell.error("status", "--store", "postgresql://u@127.0.0.1:1/db", code=5) == "store_unavailable"


# The doctor


def finding(url: str, name: str) -> Finding:
    return dict(serverdoctor.examine(url))[name]


def test_a_sound_store_has_nothing_that_fails(url: str) -> None:
    open_postgres(url, create=True).close()
    assert [name for name, found in serverdoctor.examine(url) if found.status == "fail"] == []
    assert finding(url, "privileges").found == "owner"
    assert finding(url, "connections").found.startswith("0 of this store")


def test_a_store_that_is_missing_fails(shell: Shell, url: str) -> None:
    assert finding(url, "store").status == "fail"
    document = shell.json("doctor", code=5)
    assert not document["ok"]
    assert SECRET not in shell.out


def test_commits_that_may_be_lost_are_a_warning(url: str) -> None:
    with psycopg.connect(read_url(url).conninfo, autocommit=True) as conn:
        (fsync,) = conn.execute("SHOW fsync").fetchone() or ("",)
    assert finding(url, "durable").status == ("ok" if fsync == "on" else "warn")


def test_numbers_that_are_not_given_in_order_are_a_warning(url: str) -> None:
    open_postgres(url, create=True).close()
    assert finding(url, "order").status == "ok"
    place = read_url(url)
    with psycopg.connect(place.conninfo, autocommit=True) as conn:
        conn.execute(f"ALTER SEQUENCE {place.schema}.message_seq CACHE 100".encode())
    assert finding(url, "order").status == "warn"


def test_a_server_that_is_not_postgresql_is_asked_only_what_it_can_answer() -> None:
    every = (*serverdoctor.SERVER, *serverdoctor.STORE)
    assert serverdoctor.asked_of("PostgreSQL", every) == list(every)
    names = [name for name, _ in serverdoctor.asked_of("CockroachDB", every)]
    assert names == ["server", "role", "encoding", "server clock", "store", "order", "privileges"]


def test_a_portable_store_is_as_sound_to_the_doctor(url: str) -> None:
    open_postgres(f"{url}&portable=yes", create=True).close()
    assert [name for name, found in serverdoctor.examine(url) if found.status == "fail"] == []


def test_an_open_handle_is_counted(url: str) -> None:
    store = open_postgres(url, create=True)
    try:
        assert finding(url, "connections").found.startswith("1 of this store")
    finally:
        store.close()


def test_the_console_writes_the_findings_as_a_table(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    open_postgres(url, create=True).close()
    assert main(["doctor"]) == 0
    assert "oldest xmin" in capsys.readouterr().out


def test_a_url_that_was_shown_stands_for_the_one_that_is_set() -> None:
    known = {"POSTROOM_STORE": f"postgresql://u:{SECRET}@h/db"}
    assert load(store="postgresql://u:***@h/db", environ=known).store == known["POSTROOM_STORE"]
    assert load(store="postgresql://u:***@other/db", environ=known).store == "postgresql://u:***@other/db"
