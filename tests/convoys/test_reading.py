"""A convoy file is read whole, or refused with everything that is wrong with it."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from convoy_files import Folder

from postroom.actors.convoys.plan import DEFAULT_CONCURRENCY, DEFAULT_RETRIES, DEFAULT_TIMEOUT
from postroom.actors.convoys.spec.faults import BadFile
from postroom.actors.convoys.spec.parsing import LONGEST
from postroom.actors.convoys.spec.reading import read_convoy
from postroom.store.errors import BadInput


def test_a_file_with_one_command_is_a_convoy_with_all_defaults(folder: Folder) -> None:
    convoy = folder.read("tasks.greet.command = ['echo', 'hello']")
    (task,) = convoy.tasks
    assert (convoy.name, convoy.concurrency) == ("work", DEFAULT_CONCURRENCY)
    assert (task.id, task.work.command) == ("greet", ("echo", "hello"))
    assert (task.retry.retries, task.timeout) == (DEFAULT_RETRIES, DEFAULT_TIMEOUT)
    assert Path(task.cwd) == folder.path


def test_everything_a_task_can_say_is_kept(folder: Folder) -> None:
    (folder.path / "sub").mkdir()
    convoy = folder.read(
        """
        [convoy]
        name = "all of it"
        concurrency = 3
        [tasks.first]
        call = "json:dumps"
        arguments = { obj = [1, 2] }
        [tasks.second]
        command = "echo $GREETING"
        depends_on = ["first"]
        retries = 0
        timeout = 2.5
        cwd = "sub"
        env = { GREETING = "hello" }
        """
    )
    first, second = convoy.tasks
    assert (convoy.name, convoy.concurrency) == ("all of it", 3)
    assert (first.work.call, first.work.arguments) == ("json:dumps", {"obj": [1, 2]})
    assert second.work.command == ("sh", "-c", "echo $GREETING")
    assert (second.depends_on, second.retry.retries, second.timeout) == (("first",), 0, 2.5)
    assert (Path(second.cwd), second.env) == (folder.path / "sub", {"GREETING": "hello"})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[tasks.a]\ncommand = [\n", (3, "column 1")),
        ("[tasks.a]\ncommand == 'x'\n", (2, "column 10")),
        ("[tasks.a]\n[tasks.a]\n", (2, "column 9")),
        ("a = 'not closed", (1, "column 16")),
    ],
)
def test_text_that_is_not_toml_is_refused_with_line_and_column(
    folder: Folder, text: str, place: tuple[int, str]
) -> None:
    (fault,) = folder.refused(text).faults
    assert (fault.line, fault.where) == place
    assert fault.what.startswith("not TOML: ")


def test_bytes_that_are_not_utf8_are_refused_with_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "work.toml"
    file.write_bytes(b"# fine\na = '\xff'")
    with pytest.raises(BadFile, match=r"work.toml:2: column 6: not UTF-8"):
        read_convoy(file)


def test_a_file_that_begins_with_a_byte_order_mark_is_read_without_it(tmp_path: Path) -> None:
    file = tmp_path / "work.toml"
    file.write_bytes(codecs.BOM_UTF8 + b"[tasks.a]\ncommand = 'true'\n")
    assert [task.id for task in read_convoy(file).tasks] == ["a"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"# {'x' * LONGEST}", f"longer than {LONGEST} bytes"),
        (f"a = {'[' * 5000}{']' * 5000}", "nested too deep: at most 64 levels are taken"),
        (f"a = {2**64}", "an integer beyond 63 bits"),
    ],
)
def test_a_file_beyond_a_limit_is_told_so_and_not_that_it_is_no_toml(
    folder: Folder, text: str, what: str
) -> None:
    assert folder.refused(text).lines() == [f"{folder.file}: {what} (make it smaller)"]


def test_a_file_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_convoy(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[convoi]\n[tasks.a]\ncommand='true'", "convoi: unknown key (did you mean convoy?)"),
        ("[convoy]\nnam='x'\n[tasks.a]\ncommand='true'", "convoy.nam: unknown key (did you mean name?)"),
        (
            "[tasks.a]\ncommand='true'\ndepend_on=[]",
            "tasks.a.depend_on: unknown key (did you mean depends_on?)",
        ),
        (
            "[tasks.lint]\ncommand='true'\n[tasks.a]\ncommand='true'\ndepends_on=['lint', 'lnt']",
            "tasks.a.depends_on[1]: no task is named lnt (did you mean lint?)",
        ),
        (
            "[tasks.b]\ncommand='true'\n[tasks.a]\ncommand='true'\ndepends_on=['b', 'b']",
            "tasks.a.depends_on[1]: b is named twice (name it once)",
        ),
        (
            "[tasks.a]\ncommand='true'\nretries='two'",
            "tasks.a.retries: must be a whole number from 0 to 100, not 'two'",
        ),
        (
            "[tasks.a]\ncommand='true'\nretries=true",
            "tasks.a.retries: must be a whole number from 0 to 100, not true",
        ),
        (
            "[tasks.a]\ncommand='true'\ntimeout=nan",
            "tasks.a.timeout: must be a number of seconds above 0 and at most a week, or a text such as 90s,"
            " 30m or 2h, not nan",
        ),
        (
            "[tasks.a]\ncommand=[]",
            "tasks.a.command: must be a list of texts, or one text for the shell, not []",
        ),
        ("tasks.a = 3", "tasks.a: must be a table (write [tasks.a])"),
        ("[convoy]", "tasks: there are none (declare at least one, such as [tasks.build])"),
        ("[tasks]", "tasks: there are none (declare at least one, such as [tasks.build])"),
        ("[tasks.a]\nretries=2", "tasks.a: has no command, call, prompt or steps (say what it does)"),
        (
            "[tasks.a]\ncommand='true'\ncall='json:dumps'",
            "tasks.a: has command and call (keep one of them)",
        ),
        (
            "[tasks.a]\ncommand=['no-such-program']",
            "tasks.a.command[0]: command not found: no-such-program (install it, or correct its name)",
        ),
        (
            "[tasks.a]\ncommand='no-such-program | cat'",
            "tasks.a.command: command not found: no-such-program (install it, or correct its name)",
        ),
        (
            "[tasks.a]\ncommand='true'\nenv={PATH=''}",
            "tasks.a.command: command not found: true (install it, or correct its name)",
        ),
        (
            "[tasks.a]\ncommand=['./no-such-program']",
            "tasks.a.command[0]: command not found: ./no-such-program (install it, or correct its name)",
        ),
        (
            "[tasks.a]\ncall='no_such_module:work'",
            "tasks.a.call: there is no module no_such_module (modules beside the file are found)",
        ),
        ("[tasks.a]\ncall='json:dmps'", "tasks.a.call: module json has no dmps (did you mean dumps?)"),
        ("[tasks.a]\ncall='json'", "tasks.a.call: 'json' is not of the form module:function"),
        ("[tasks.a]\ncall='math:pi'", "tasks.a.call: math:pi is not a function but a float"),
        (
            "[tasks.a]\ncommand='true'\narguments={a=1}",
            "tasks.a.arguments: only a call has those (write them into the command)",
        ),
        (
            "[tasks.a]\ncall='textwrap:dedent'\narguments={txt='x'}",
            "tasks.a.arguments: textwrap:dedent(text): missing a required argument: 'text'",
        ),
        (
            "[tasks.a]\ncall='json:dumps'\narguments={obj=1}\nenv={A='1'}",
            "tasks.a.env: only a command has that (pass it among the arguments)",
        ),
        (
            "[tasks.'a b']\ncommand='true'",
            'tasks."a b": a task\'s name is 1 to 64 letters, digits, dots, dashes and underscores',
        ),
    ],
)
def test_a_fault_is_told_with_the_path_of_its_key(folder: Folder, text: str, fault: str) -> None:
    assert fault in folder.faults(text)


def test_tasks_that_depend_on_each_other_are_shown_as_a_circle(folder: Folder) -> None:
    faults = folder.faults(
        """
        [tasks.z]
        command = "true"
        [tasks.a]
        command = "true"
        depends_on = ["b"]
        [tasks.b]
        command = "true"
        depends_on = ["z", "c"]
        [tasks.c]
        command = "true"
        depends_on = ["a"]
        """
    )
    assert faults == ["tasks.a.depends_on: need each other: a -> b -> c -> a (remove one of these)"]


def test_a_task_that_depends_on_itself_is_a_circle_too(folder: Folder) -> None:
    (fault,) = folder.faults("[tasks.a]\ncommand='true'\ndepends_on=['a']")
    assert "a -> a" in fault


def test_all_faults_are_told_at_once_and_the_error_is_one_line(folder: Folder) -> None:
    text = "[convoy]\nconcurrency=0\n[tasks.a]\ncomand='true'\nretries=-1\n"
    assert len(folder.faults(text)) == 4
    with pytest.raises(BadFile) as refused:
        folder.read(text)
    assert "4 faults" in refused.value.what
    assert "\n" not in str(refused.value)


def test_a_program_that_another_task_may_make_is_not_looked_for(folder: Folder) -> None:
    convoy = folder.read(
        """
        [tasks.make]
        command = "printf '#!/bin/sh\\n' > made && chmod +x made"
        [tasks.use]
        command = ["./made"]
        depends_on = ["make"]
        """
    )
    assert convoy.tasks[1].work.command == ("./made",)


@pytest.mark.parametrize("line", ["for n in 1 2; do echo $n; done", "A=1 whatever", "(exit 3)", "cd /"])
def test_a_shell_line_may_begin_with_words_of_the_shell(folder: Folder, line: str) -> None:
    assert folder.read(f"tasks.a.command = '{line}'").tasks[0].work.command[2] == line


def test_inputs_are_filled_in_and_can_be_set(folder: Folder) -> None:
    text = """
        [input]
        name = "world"
        times = 2
        [tasks.a]
        command = ["echo", "{{input.name}}", "{{ input.times }}"]
        [tasks.b]
        call = "json:dumps"
        arguments = { obj = ["{{input.name}}", 7] }
    """
    assert folder.read(text).tasks[0].work.command == ("echo", "world", "2")
    convoy = folder.read(text, {"name": "moon"})
    assert convoy.tasks[0].work.command[1] == "moon"
    assert convoy.tasks[1].work.arguments == {"obj": ["moon", 7]}


def test_an_input_that_is_not_declared_is_a_fault_where_it_is_used_and_where_it_is_set(
    folder: Folder,
) -> None:
    text = "[input]\nname='x'\n[tasks.a]\ncommand=['echo', '{{input.nme}}']"
    assert folder.faults(text, {"nam": "y"}) == [
        "input.nam: set, but the file declares no such input (did you mean name?)",
        "tasks.a.command[1]: nothing is named input.nme (did you mean input.name?)",
    ]


def test_the_folder_of_the_file_can_be_named_anywhere(folder: Folder) -> None:
    convoy = folder.read(
        """
        [input]
        out = "{{convoy.folder}}/out"
        [tasks.a]
        command = ["echo", "{{input.out}}"]
        """
    )
    assert convoy.tasks[0].work.command[1] == f"{folder.path}/out"


def test_a_date_among_the_arguments_is_a_fault(folder: Folder) -> None:
    (fault,) = folder.faults("[tasks.a]\ncall='json:dumps'\narguments={obj=2026-01-01}")
    assert fault.startswith("tasks.a.arguments: ")
