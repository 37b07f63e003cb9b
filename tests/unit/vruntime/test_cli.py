import json
import sys
import textwrap

import pytest

from vprotocol import errors
from vprotocol.errors import NotFound, VestalError
from vruntime import cli
from vruntime.cli import EXIT_CODES, Out, exit_code, printable, program

COMMANDS = {
    "list_": """
        from vruntime.cli import Out, command

        @command()
        def command(out: Out) -> None:
            '''List things.'''
            out.result([{"name": "a"}], human=lambda: out.table(["name", "state"], [["a", None], ["b\\x1b[2J", 3]]))
    """,
    "fail": """
        import click
        from vruntime.cli import command
        from vprotocol.errors import NotFound, VestalError

        @command()
        @click.option("--how", default="known")
        def command(out, how) -> None:
            '''Fail.'''
            if how == "known":
                raise NotFound("no node x\\x1b[2J", hint="look at `list`", fields={"name": "x"})
            if how == "ctrl-c":
                raise KeyboardInterrupt
            raise ValueError("patient 4711")
    """,
    "remove": """
        from vruntime.cli import command

        @command()
        def command(out) -> None:
            '''Remove a thing.'''
            out.confirm("Remove it for ever?", option="--yes")
    """,
    "work": """
        from vruntime.cli import command

        @command()
        def command(out) -> None:
            '''Work.'''
            with out.progress("working", 3) as steps:
                steps.advance()
            out.say("done")
            out.result({"done": True}, human="yes")
    """,
    "broken": "raise RuntimeError('imported')",
    "_private": "raise RuntimeError('imported')",
}


@pytest.fixture
def tool(tmp_path, monkeypatch, capsys):
    """A program with those commands; returns a function that runs it: (exit code, stdout, stderr)."""
    package = tmp_path / "toolcommands"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name, text in COMMANDS.items():
        (package / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "toolcommands"]:
        monkeypatch.delitem(sys.modules, name)
    main = program("tool", "toolcommands", "A tool.", version="1.2")

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_a_command_is_its_file_and_others_are_not_imported(tool):
    code, out, err = tool("list")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["name", "state"],
        ["a"],
        ["b\N{REPLACEMENT CHARACTER}[2J", "3"],
    ]


def test_json_is_one_value_on_stdout(tool):
    code, out, err = tool("list", "--json")
    assert (code, json.loads(out), err) == (0, [{"name": "a"}], "")


def test_talk_goes_to_stderr_and_no_progress_is_drawn_without_a_terminal(tool):
    assert tool("work") == (0, "yes\n", "done\n")
    assert tool("work", "--json") == (0, '{"done": true}\n', "done\n")


def test_an_error_is_one_line_and_the_hint_is_the_next(tool):
    assert tool("fail") == (5, "", "error: no node x\N{REPLACEMENT CHARACTER}[2J\nhint: look at `list`\n")


def test_an_error_under_json_is_one_object(tool):
    code, out, err = tool("fail", "--json")
    assert (code, out) == (5, "")
    assert json.loads(err)["error"]["code"] == "not_found"
    assert json.loads(err)["error"]["fields"] == {"name": "x"}


def test_a_foreign_exception_shows_no_data(tool):
    code, out, err = tool("fail", "--how", "other")
    assert (code, out) == (1, "")
    assert "ValueError" in err
    assert "4711" not in err
    assert "VESTAL_DEBUG" in err


def test_a_foreign_exception_can_be_looked_at(tool, monkeypatch):
    monkeypatch.setenv("VESTAL_DEBUG", "1")
    with pytest.raises(ValueError, match="4711"):
        cli.run(program("tool", "toolcommands", "A tool.").group, ["fail", "--how", "other"])


def test_ctrl_c_is_no_traceback(tool):
    code, out, err = tool("fail", "--how", "ctrl-c")
    assert (code, out, err.strip()) == (130, "", "Stopped.")


@pytest.mark.parametrize("arguments", [["nothing"], ["list", "--nope"], ["fail", "--how"]])
def test_wrong_usage_is_an_error_like_others(tool, arguments):
    code, out, err = tool(*arguments)
    assert (code, out) == (2, "")
    assert err.splitlines()[0].startswith("error: ")
    assert err.splitlines()[1].startswith("hint: See ")


def test_nothing_asks_without_a_terminal(tool):
    code, _, err = tool("remove")
    assert code == 2
    assert "Remove it for ever?" in err
    assert "--yes" in err


def test_help_and_version(tool):
    code, out, _ = tool("list", "--help")
    assert code == 0
    assert "--json" in out
    assert tool("--version")[:2] == (0, "tool, version 1.2\n")


def test_the_group_knows_its_commands_without_importing_them(tool):
    group = program("tool", "toolcommands", "A tool.").group
    assert group.list_commands(None) == ["broken", "fail", "list", "remove", "work"]
    assert "toolcommands.broken" not in sys.modules


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigInvalid(), 4),
        (errors.TlsFailed(), 10),
        (errors.Unreachable(), 9),
        (errors.IllegalTransition(), 8),
        (errors.Damaged(), 21),
        (errors.SignatureInvalid(), 20),
        (VestalError(), 1),
        (ValueError(), 1),
    ],
)
def test_exit_codes_are_stable_and_the_most_specific_class_decides(error, code):
    assert exit_code(error) == code


def test_every_error_of_the_vocabulary_has_an_exit_code():
    assert all(exit_code(cls.__new__(cls)) in set(EXIT_CODES.values()) for cls in errors.by_code().values())


def test_secrets_do_not_appear_in_errors(capsys):
    from vruntime.logs import register_secret

    register_secret("sesame-open-4242")
    cli.show_error(NotFound("no sesame-open-4242", hint="sesame-open-4242"))
    assert "sesame" not in capsys.readouterr().err


def test_progress_is_drawn_on_a_terminal():
    import io

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    with Out(stderr=screen).progress("sealing", 10) as steps:
        steps.advance(10)
    assert "sealing" in screen.getvalue()


def test_printable_keeps_text_and_drops_control():
    assert printable("é\tπ\n\x1b]0;x\x07") == "é\tπ\n\N{REPLACEMENT CHARACTER}]0;x\N{REPLACEMENT CHARACTER}"
