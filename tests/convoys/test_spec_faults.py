"""Whatever is wrong with a convoy file is told, at its line and key, with what to do about it."""

from __future__ import annotations

import json

import pytest
from convoy_files import Folder

TASK = "[tasks.a]\ncommand = 'true'\n"
DEV = "[agents.dev]\ncommand = 'cat'\n"
EVA = '[agents.eva]\ninbox = "worker/eva"\n'
ANNA = "[[review.reviewers]]\nname = 'anna'\ncommand = 'cat'\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            TASK + "on_exhausted = 'skp'",
            "3: tasks.a.on_exhausted: must be dlq, skip or stop, not 'skp' (did you mean skip?)",
        ),
        (TASK + "jitter = 2", "3: tasks.a.jitter: must be a number from 0 to 1, not 2"),
        (
            TASK + "timeout = '30x'",
            "3: tasks.a.timeout: must be a number of seconds above 0 and at most a week, or a text such as"
            " 90s, 30m or 2h, not '30x'",
        ),
        (
            "[convoy]\nconcurrency = 'atuo'\n" + TASK,
            "2: convoy.concurrency: must be a whole number from 1 to 64, or \"auto\", not 'atuo'"
            " (did you mean auto?)",
        ),
        (
            "[convoy]\nmax_concurrency = 3\n" + TASK,
            '2: convoy.max_concurrency: only concurrency = "auto" has that (lower concurrency itself)',
        ),
        (TASK + "depends_on = [3]", "3: tasks.a.depends_on[0]: must be a text, not 3"),
        (
            TASK + "files = ['x', 'a\\u0000b']".replace("'", '"'),
            "3: tasks.a.files[1]: must be a text, not 'a\\x00b'",
        ),
        (TASK + "env = { A = 1, B = '2' }", "3: tasks.a.env.A: must be a text, not 1"),
        ("[tasks.a]\ncommand = ['true', 3]", "2: tasks.a.command[1]: must be a text, not 3"),
        (
            "[tasks.a]\ncommand = ['', 'x']",
            "2: tasks.a.command: must be a list of texts, or one text for the shell, not ['', 'x']",
        ),
        ("[convoy]\nfolder = 3\n" + TASK, "2: convoy.folder: must be a text that says something, not 3"),
        (
            "[convoy]\nfolder = '{{input.x}}'\n[input]\nx = '{{convoy.folder}}/..'\n" + TASK,
            "2: convoy.folder: it is named by itself (use inputs that do not hold convoy.folder)",
        ),
        ("[defaults]\nretrys = 1\n" + TASK, "2: defaults.retrys: unknown key (did you mean retries?)"),
        (
            "[defaults]\nagent = 'dve'\n" + DEV + TASK,
            "2: defaults.agent: no agent is named dve (did you mean dev?)",
        ),
        (
            DEV + "[tasks.a]\nprompt = 'x'\nagent = 'dve'",
            "5: tasks.a.agent: no agent is named dve (did you mean dev?)",
        ),
        (
            "[tasks.a]\nprompt = 'x'",
            "1: tasks.a.agent: a prompt needs an agent (name one of [agents], here or under [defaults])",
        ),
        (
            "[agents.bob]\ninbox = 'worker/bob'\n" + TASK + "agent = 'bob'",
            "5: tasks.a.agent: bob is sent prompts, and this task is none"
            " (say it as a prompt, or name an agent without an inbox)",
        ),
        (
            DEV + "fallback = 'bob'\n[agents.bob]\ninbox = 'worker/bob'\n" + TASK + "agent = 'dev'",
            "8: tasks.a.agent: dev is sent prompts, and this task is none"
            " (say it as a prompt, or name an agent without an inbox)",
        ),
        (
            DEV + "fallback = 'eve'\n" + TASK,
            "3: agents.dev.fallback: no agent is named eve (did you mean dev?)",
        ),
        (
            DEV + "fallback = 'b'\n[agents.b]\ncommand = 'cat'\nfallback = 'dev'\n" + TASK,
            "3: agents.dev.fallback: stand in for each other: dev -> b -> dev (remove one of these)",
        ),
        (
            DEV + "inbox = 'worker/dev'\n" + TASK,
            "1: agents.dev: has command and inbox (keep one of them)",
        ),
        (
            "[agents.dev]\ninbox = 'dev'\n" + TASK,
            "2: agents.dev.inbox: must be an address, such as worker/anna, not 'dev'",
        ),
        (
            "[agents.local]\ncommand = 'cat'\n" + TASK,
            "1: agents.local: local is whoever does tasks that are no prompts (give it another name)",
        ),
        (
            TASK + "files = [\n  'ok',\n  '../x',\n]",
            "5: tasks.a.files[1]: ../x has .. in it (name it from the convoy's folder)",
        ),
        (
            TASK + "files = ['/etc']",
            "3: tasks.a.files[0]: /etc is absolute (name it from the convoy's folder)",
        ),
        (
            TASK + "files = ['src/*.py']",
            "3: tasks.a.files[0]: src/*.py is a pattern (name each file or folder)",
        ),
        (TASK + "files = ['./']", "3: tasks.a.files[0]: './' is the whole folder (name what is in it)"),
        (TASK + "files = ['a', './a']", "3: tasks.a.files[1]: a is named twice (name it once)"),
        (
            TASK + "outputs = { o = { file = '../o' } }",
            "3: tasks.a.outputs.o.file: ../o has .. in it (name it from the convoy's folder)",
        ),
        (
            TASK + "outputs = { o = 'sumary' }",
            '3: tasks.a.outputs.o: must be "summary", "json" or { file = PATH }, not \'sumary\''
            " (did you mean summary?)",
        ),
        (
            TASK + "inputs = { x = 'b.o' }",
            "3: tasks.a.inputs.x: no task is named b",
        ),
        (
            TASK + "outputs = { log = 'summary' }\n[tasks.b]\ncommand = 'true'\ninputs = { x = 'a.lgo' }",
            "6: tasks.b.inputs.x: a has no output lgo (did you mean log?)",
        ),
        (TASK + "inputs = { x = 'b' }", "3: tasks.a.inputs.x: must be \"TASK.OUTPUT\", not 'b'"),
        (
            TASK + "inputs = { x = { from = 'b' } }",
            '3: tasks.a.inputs.x: has no name (write { from = "TASK", name = "OUTPUT" })',
        ),
        (
            TASK + "outputs = { o = 'json' }\ninputs = { x = 'b.o' }\n[tasks.b]\ncommand = 'true'\n"
            "depends_on = ['a']",
            "4: tasks.a.inputs: need each other: a -> b -> a (remove one of these)",
        ),
        (
            "[input]\nx = 1\n" + TASK + "inputs = { x = 'b.o' }",
            "5: tasks.a.inputs.x: [input] has a x too (give one of them another name)",
        ),
        (
            TASK.replace("true", "echo {{input.x|kebap}}") + "[input]\nx = 1",
            "2: tasks.a.command: no filter is named kebap (did you mean kebab?)",
        ),
        (
            TASK + "cwd = '{{input.o}}'\ninputs = { o = 'b.o' }\n[tasks.b]\ncommand = 'true'\n"
            "outputs = { o = 'summary' }",
            "3: tasks.a.cwd: nothing is named input.o (known: convoy.folder)",
        ),
        (
            "[tasks.a]\n[[tasks.a.steps]]\ncommand = 'true'\n[[tasks.a.steps]]\ncommand = 'true'\n"
            "if = { step = '2' }",
            "6: tasks.a.steps[1].if.step: no earlier step is named 2 (known: 1)",
        ),
        (
            "[tasks.a]\n[[tasks.a.steps]]\ncommand = 'true'\n[[tasks.a.steps]]\ncommand = 'true'\n"
            "if = { step = '1', exit = { ne = 0, lt = 3 } }",
            "6: tasks.a.steps[1].if.exit: must be one of eq, ne, lt and gt (for example { ne = 0 })",
        ),
        (
            "[tasks.a]\nsteps = [{ command = 'true', if = { file_exists = '/etc/passwd' } }]",
            "2: tasks.a.steps[0].if.file_exists: /etc/passwd is absolute (name it from the convoy's folder)",
        ),
        ("[tasks.a]\nsteps = []", "2: tasks.a.steps: there are none (declare at least one, or say command)"),
        (TASK + "prompt = 'x'", "1: tasks.a: has command and prompt (keep one of them)"),
        (TASK + "gates = [{}]", "3: tasks.a.gates[0]: has no command or builtin (say what it does)"),
        (
            TASK + "gates = [{ builtin = 'secret_scna' }]",
            "3: tasks.a.gates[0].builtin: must be secret_scan, blast_radius or no_op, not 'secret_scna'"
            " (did you mean secret_scan?)",
        ),
        (
            TASK + "gates = [{ command = 'true', max_lines = 3 }]",
            '3: tasks.a.gates[0].max_lines: only blast_radius has that (write builtin = "blast_radius")',
        ),
        (
            TASK + "gates = [{ name = 'x', command = 'true' }]\nhooks = [{ name = 'x', command = 'true' }]",
            "4: tasks.a.hooks[0]: the name x is used twice (name it anew)",
        ),
        (
            TASK + "gates = ['no-such-program']",
            "3: tasks.a.gates[0]: command not found: no-such-program (install it, or correct its name)",
        ),
        (
            TASK + "hooks = [{ on = 'pre_convoy', command = 'true' }]",
            "3: tasks.a.hooks[0].on: a task has no pre_convoy (put it among the hooks of [convoy])",
        ),
        (
            TASK + "hooks = [{ type = 'guard' }]",
            "3: tasks.a.hooks[0]: a hook of type guard has no command (give it a command)",
        ),
        (
            EVA + TASK + "hooks = [{ type = 'agent', agent = 'eva', prompt = 'look' }]",
            "5: tasks.a.hooks[0].agent: eva pulls, and a hook cannot wait (name another)",
        ),
        (
            TASK + "hooks = [{ type = 'review' }]",
            "3: tasks.a.hooks[0]: a hook that reviews needs a reviewer (declare [[review.reviewers]])",
        ),
        (
            ANNA + TASK + "hooks = [{ on = 'pre_task', type = 'review' }]",
            '6: tasks.a.hooks[0].on: at pre_task there is nothing to review (write on = "post_task")',
        ),
        (
            ANNA + "[convoy]\nhooks = [{ on = 'post_convoy', type = 'review' }]\n" + TASK,
            '5: convoy.hooks[0].on: at post_convoy there is nothing to review (write on = "post_task")',
        ),
        *(
            (
                ANNA + TASK + f"hooks = [{{ type = 'review', {key} = 'x' }}]",
                f"6: tasks.a.hooks[0].{key}: a hook of type review has none"
                " (leave it out, or change the type)",
            )
            for key in ("prompt", "agent", "command")
        ),
        (
            TASK + "hooks = [{ type = 'agent', prompt = 'x', agent = 'dev' }]",
            "3: tasks.a.hooks[0].agent: no agent is named dev",
        ),
        (
            "[review]\nroute = 'fast'\n" + TASK,
            "2: review.route: fast takes 1 reviewer, and there are none (declare more [[review.reviewers]])",
        ),
        (
            "[review]\nroute = 'auto'\n" + ANNA + TASK,
            "2: review.route: auto takes 3 reviewers, and there is 1"
            " (declare more [[review.reviewers]], or lower panel_size)",
        ),
        (
            ANNA + TASK + "review = 'panel'",
            "6: tasks.a.review: panel takes 3 reviewers, and there is 1"
            " (declare more [[review.reviewers]], or lower panel_size)",
        ),
        (
            ANNA + ANNA + TASK,
            "5: review.reviewers[1].name: anna is named twice (name it anew)",
        ),
        (
            "[[review.reviewers]]\ncommand = 'cat'\n" + TASK,
            "1: review.reviewers[0]: has no name (give it one)",
        ),
        (
            "[review]\npanel_size = 2\nblocks = 3\n" + TASK,
            "3: review.blocks: a panel of 2 never has 3 votes (lower blocks, or raise panel_size)",
        ),
        (
            "[budget]\nowner = 'me'\n" + TASK,
            "2: budget.owner: must be an address, such as worker/anna, not 'me'",
        ),
        (
            TASK + "outputs = {" + ", ".join(f"o{n} = 'json'" for n in range(51)) + "}",
            "1: tasks: have more than 50 outputs together (make fewer)",
        ),
    ],
)
def test_a_fault_has_its_line_its_key_and_what_to_do(folder: Folder, text: str, fault: str) -> None:
    assert fault in folder.lines(text)


def test_overlapping_files_are_refused_only_of_tasks_that_could_run_at_once(folder: Folder) -> None:
    text = """\
        [convoy]
        on_overlap = "refuse"
        [tasks.a]
        command = "true"
        files = ["src"]
        [tasks.b]
        command = "true"
        depends_on = ["a"]
        files = ["src/b.py"]
        [tasks.c]
        command = "true"
        files = ["docs", "src/b.py"]
    """
    what = 'and both could run at once (let one depend on the other, or say on_overlap = "serialise")'
    assert folder.lines(text) == [
        f"12: tasks.c.files[1]: src/b.py is a's too, {what}",
        f"12: tasks.c.files[1]: src/b.py is b's too, {what}",
    ]
    assert len(folder.read(text.replace("refuse", "serialise")).tasks) == 3


def test_a_symlink_that_leads_out_of_the_folder_is_refused(folder: Folder) -> None:
    (folder.path / "out").symlink_to("/etc")
    (folder.path / "inside").mkdir()
    (folder.path / "in").symlink_to("inside")
    text = "[tasks.a]\ncommand='true'\nfiles=['out/passwd', 'in/x']"
    assert folder.faults(text) == [
        f"tasks.a.files[0]: out/passwd leads out of {folder.path} by a symlink (name what is in it)"
    ]


def test_all_faults_of_a_file_are_told_at_once_in_the_order_of_its_lines(folder: Folder) -> None:
    refused = folder.refused(
        """
        [convoy]
        nam = "x"
        [tasks.build]
        command = '''
        [tasks.lint]
        '''
        depends_on = ["lnt"]
        timeout = "soon"
        [tasks.lint]
        command = ["no-such-program"]
        call = "json:dmps"
        files = ["../x"]
        [tasks.deploy]
        call = "json:dmps"
        inputs = { x = "build.log" }
        """
    )
    assert [fault.line for fault in refused.faults] == [3, 8, 9, 10, 11, 12, 13, 15, 16]
    assert refused.lines() == [
        f"{folder.file}: 9 faults (mend them and try again)",
        *(f"{folder.file}:{fault.line}: {fault}" for fault in refused.faults),
    ]
    assert json.dumps(refused.details())
    assert refused.details()["faults"][1] == {
        "where": "tasks.build.depends_on[0]",
        "line": 8,
        "what": "no task is named lnt",
        "do": "did you mean lint?",
    }


def test_an_input_of_the_wrong_kind_hides_neither_the_others_nor_what_is_wrong_elsewhere(
    folder: Folder,
) -> None:
    text = """\
        [input]
        all = ["a", "b"]
        one = "1"
        [tasks.a]
        command = "echo {{input.one}} {{input.all}} {{input.on}}"
    """
    assert folder.lines(text) == [
        "2: input.all: must be a text or a number, not ['a', 'b']",
        "5: tasks.a.command: nothing is named input.on (did you mean input.one?)",
    ]


def test_of_a_long_circle_its_beginning_and_its_end_are_told(folder: Folder) -> None:
    tasks = (f"[tasks.t{n}]\ncommand = 'true'\ndepends_on = ['t{(n + 1) % 500}']\n" for n in range(500))
    assert folder.lines("".join(tasks)) == [
        "3: tasks.t0.depends_on: need each other: t0 -> t1 -> t2 -> t3 -> t4 -> t5 -> t6 -> t7 -> t8 -> t9"
        " -> t10 -> (489 more) -> t0 (remove one of these)"
    ]


def test_a_fault_that_is_alone_is_one_line(folder: Folder) -> None:
    refused = folder.refused("[tasks.a]\ncommand = 'true'\ntimeuot = 3")
    assert refused.lines() == [f"{folder.file}:3: tasks.a.timeuot: unknown key (did you mean timeout?)"]


def test_very_many_tasks_are_refused(folder: Folder) -> None:
    text = "[tasks]\n" + "".join(f"t{n}.command='true'\n" for n in range(10_001))
    assert folder.lines(text) == ["1: tasks: there are 10001, at most 10000 are taken (split them)"]


def test_very_many_faults_are_counted_and_the_first_are_shown(folder: Folder) -> None:
    text = "[tasks.a]\ncommand = 'true'\n" + "".join(f"x{n} = 1\n" for n in range(5000))
    refused = folder.refused(text)
    assert len(refused.faults) == 5000
    assert len(refused.lines()) == 102
    assert refused.lines()[-1] == "and 4900 more"
    assert len(str(refused)) < 20_000


@pytest.mark.parametrize("value", ["{{input.y}}", "a\0b", "a\udc80"])
def test_what_an_input_is_set_to_can_be_passed_on_and_names_no_other(folder: Folder, value: str) -> None:
    text = "[input]\nx = 'x'\ny = 'y'\n[tasks.a]\ncommand = ['echo', '{{input.x}}']"
    (fault,) = folder.faults(text, {"x": value})
    assert fault.startswith("input.x: ")
