"""Who may import whom, and what nobody may write, as data. A failing line names the file, the line and the rule.

Each rule is tried on a planted violation too: a rule that finds nothing proves nothing.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Imports go down only.
MAY_IMPORT = {
    "vprotocol": set(),
    "vruntime": {"vprotocol"},
    "algorithm_base": set(),
    "vserver": {"vprotocol", "vruntime"},
    "vclient": {"vprotocol", "vruntime"},
    "proxy": {"vprotocol", "vruntime", "vclient"},
    "vnode": {"vprotocol", "vruntime", "vclient", "proxy"},
}

NO_IO = (
    *("asyncio", "builtins.open", "fcntl", "glob", "http", "io.open", "io.FileIO", "logging", "multiprocessing"),
    *("os", "pathlib", "queue", "random", "requests", "sched", "select", "selectors", "shutil", "signal", "socket"),
    *("sqlite3", "ssl", "subprocess", "sys.stdin", "tempfile", "threading", "time", "urllib.request", "urllib3"),
    *("appdirs", "click", "docker", "flask", "flask_restful", "rich", "sqlalchemy", "yaml"),
)
# The node's configuration holds paths as values; what is done with them is watched by NEVER_CALLED_IN_PURE.
NO_IO_BUT_PATHS = tuple(name for name in NO_IO if name != "pathlib")
OPENING = tuple(f"vprotocol.envelope.{name}" for name in ("open_sealed", "stream", "recipients"))
NOT_SECURE = ("pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib")


@dataclass(frozen=True)
class Imports:
    """In files like `where` (but not like `except_in`) nothing of `never` may be imported."""

    where: str
    never: tuple[str, ...]
    why: str
    except_in: tuple[str, ...] = ()


IMPORT_RULES = (
    Imports("vprotocol/**", NO_IO, "vprotocol is pure: no files, network, clock, logging, threads"),
    Imports("vserver/**", ("vprotocol.messages.orders", *OPENING), "the hub is blind: it never opens an envelope"),
    Imports("**", ("requests",), "requests is used in vruntime/http.py only", ("vruntime/http.py",)),
    Imports("**", ("urllib.request", "http.client", "httpx", "aiohttp"), "HTTP goes through vruntime/http.py",
            ("algorithm_base/**", "vruntime/http.py", "vnode/executors/**", "proxy/**")),
    Imports("**", ("docker",), "docker is used in vnode/executors/ only", ("vnode/executors/**",)),
    Imports("**/model.py", ("flask", "flask_restful", "werkzeug", "vserver.web"), "a model knows no HTTP"),
    Imports("vserver/**/service.py", ("flask", "flask_restful", "werkzeug", "vserver.web"),
            "a service raises domain errors and knows no HTTP"),
    Imports("vnode/policy.py", (*NO_IO_BUT_PATHS, "vclient", "proxy"), "policy.py is pure"),
    Imports("vnode/compile.py", (*NO_IO_BUT_PATHS, "vclient", "proxy"), "compile.py is pure"),
    Imports("vserver/authz.py", (*NO_IO, "werkzeug"), "authz.py is pure"),
    Imports("proxy/translate.py", NO_IO, "translate.py is pure"),
    Imports("proxy/**", ("vruntime.keyfiles", *OPENING), "the proxy is given seal and open, never a key"),
    Imports("**", ("vruntime.keyfiles",), "key files are opened in one module a program",
            ("vruntime/**", "vnode/vault.py", "vnode/cli/**", "vclient/sealing.py", "vclient/cli/**")),
    Imports("algorithm_base/**", ("cryptography", "requests", "docker", "flask"), "algorithms know no crypto, no HTTP"),
    Imports("**", NOT_SECURE, "no pickle, nor its cousins, anywhere"),
)  # fmt: skip

# Calls, by dotted name as written.
NEVER_CALLED = {
    "eval": "no eval",
    "exec": "no exec",
    "os.system": "no shell",
    "os.popen": "no shell",
    "subprocess.getoutput": "no shell",
    "subprocess.getstatusoutput": "no shell",
    "yaml.load": "yaml.safe_load or vruntime.yaml_source",
    "yaml.unsafe_load": "yaml.safe_load or vruntime.yaml_source",
}
NEVER_CALLED_IN_PURE = {
    "open": "no files",
    "print": "no output",
    "input": "no input",
    "datetime.now": "no clock: pass the time in",
    "datetime.utcnow": "no clock: pass the time in",
    "datetime.today": "no clock: pass the time in",
    "date.today": "no clock: pass the time in",
    "datetime.datetime.now": "no clock: pass the time in",
    "datetime.datetime.utcnow": "no clock: pass the time in",
    "datetime.date.today": "no clock: pass the time in",
}
PATH_METHODS = frozenset(
    (
        "read_text",
        "read_bytes",
        "write_text",
        "write_bytes",
        "exists",
        "is_file",
        "is_dir",
        "stat",
        "resolve",
        "iterdir",
    )
)
PURE = ("vprotocol/**", "vnode/policy.py", "vnode/compile.py", "vserver/authz.py", "proxy/translate.py")

MEANINGLESS_NAMES = {"utils", "util", "common", "helpers", "manager", "managers", "constants", "misc"}


# --- reading sources -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Source:
    """A file, by its path below the root, and what it says."""

    path: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.path.split("/", 1)[0]

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def matches(self, patterns: Sequence[str]) -> bool:
        return any(_matches(self.path, pattern) for pattern in patterns)


def _matches(path: str, pattern: str) -> bool:
    if pattern.endswith("/**"):
        return path.startswith(pattern.removesuffix("**"))
    if pattern.startswith("**/"):
        return path.endswith(pattern.removeprefix("**")) or path == pattern.removeprefix("**/")
    if "/**/" in pattern:
        first, last = pattern.split("/**/")
        return path.startswith(f"{first}/") and path.endswith(f"/{last}")
    return pattern == "**" or fnmatchcase(path, pattern)


def sources() -> list[Source]:
    found = []
    for package in MAY_IMPORT:
        for path in sorted((ROOT / package).rglob("*.py")):
            found.append(_source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))
    return found


def _source(path: str, text: str) -> Source:
    return Source(path, ast.parse(text, filename=path))


@dataclass(frozen=True)
class Import:
    line: int
    module: str  # what is imported from
    name: str  # the full dotted name, as far as the statement tells
    at_import_time: bool


def imports(source: Source) -> Iterator[Import]:
    yield from _imports(source, source.tree, at_import_time=True)


def _imports(source: Source, node: ast.AST, *, at_import_time: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(child.lineno, alias.name, alias.name, at_import_time)
        elif isinstance(child, ast.ImportFrom):
            module = _absolute(source, child)
            for alias in child.names:
                yield Import(child.lineno, module, f"{module}.{alias.name}", at_import_time)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_type_checking(child)
            yield from _imports(source, child, at_import_time=at_import_time and not inside)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = source.path.removesuffix(".py").split("/")[: -node.level]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _is_below(name: str, banned: str) -> bool:
    return name == banned or name.startswith(f"{banned}.")


# --- the rules -------------------------------------------------------------------------------------------------------
def downward(source: Source) -> Iterator[str]:
    allowed = MAY_IMPORT[source.package] | {source.package}
    for one in imports(source):
        top = one.module.split(".")[0]
        if top in MAY_IMPORT and top not in allowed:
            yield f"{source.path}:{one.line}: {source.package} may not import {top}"


def forbidden_imports(source: Source) -> Iterator[str]:
    for rule in IMPORT_RULES:
        if not source.matches((rule.where,)) or source.matches(rule.except_in):
            continue
        for one in imports(source):
            if _is_allowed_exception(one):
                continue
            if any(_is_below(one.name, banned) for banned in rule.never):
                yield f"{source.path}:{one.line}: {one.name} is imported here; {rule.why}"


def _is_allowed_exception(one: Import) -> bool:
    # Randomness is the one impurity that sealing cannot do without; a pure path is a value.
    return one.name in ("os.urandom", "os.PathLike", "pathlib.PurePath", "pathlib.PurePosixPath")


def forbidden_calls(source: Source) -> Iterator[str]:
    banned = {**NEVER_CALLED, **(NEVER_CALLED_IN_PURE if source.matches(PURE) else {})}
    touches_files = PATH_METHODS if source.matches(PURE) else frozenset()
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in banned:
            yield f"{source.path}:{node.lineno}: {name}() is called here; {banned[name]}"
        if isinstance(node.func, ast.Attribute) and node.func.attr in touches_files:
            yield f"{source.path}:{node.lineno}: .{node.func.attr}() is called here; no files"
        for keyword in node.keywords:
            shell = keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
            if shell:
                yield f"{source.path}:{node.lineno}: shell= is used here; no shell: give a list of arguments"


def meaningless_name(source: Source) -> Iterator[str]:
    for part in source.path.removesuffix(".py").split("/"):
        if part in MEANINGLESS_NAMES:
            yield f"{source.path}:1: a module is named after its idea, not {part}"


def hidden_errors(source: Source) -> Iterator[str]:
    """`except: pass` over everything hides what went wrong."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            if broad and all(isinstance(line, ast.Pass) for line in node.body):
                yield f"{source.path}:{node.lineno}: a broad except passes over the error; name it or log it"


RULES = (downward, forbidden_imports, forbidden_calls, meaningless_name, hidden_errors)


def import_cycles(everything: Sequence[Source]) -> list[str]:
    """Cycles between modules, by what they import when they are imported."""
    by_module = {source.module: source for source in everything}
    edges: dict[str, dict[str, int]] = {}
    for source in everything:
        edges[source.module] = {}
        for one in imports(source):
            target = one.name if one.name in by_module else one.module
            if one.at_import_time and target in by_module and target != source.module:
                edges[source.module].setdefault(target, one.line)
    found, done = [], set()
    for start in sorted(edges):
        cycle = _cycle_from(start, edges, done)
        if cycle:
            done.update(cycle)  # one sentence a cycle, not one for each module in it
            path, line = by_module[cycle[0]].path, edges[cycle[0]][cycle[1]]
            found.append(f"{path}:{line}: an import cycle: {' -> '.join(cycle)}")
    return found


def _cycle_from(start: str, edges: dict[str, dict[str, int]], done: set[str]) -> list[str] | None:
    path: list[str] = []

    def visit(module: str) -> list[str] | None:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return None
        path.append(module)
        for target in edges[module]:
            if cycle := visit(target):
                return cycle
        path.pop()
        done.add(module)
        return None

    return visit(start)


# --- the house -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule):
    violations = [line for source in sources() for line in rule(source)]
    assert not violations, "\n" + "\n".join(violations)


def test_no_module_imports_itself_through_others():
    cycles = import_cycles(sources())
    assert not cycles, "\n" + "\n".join(cycles)


def test_there_is_something_to_look_at():
    assert {source.package for source in sources()} >= {"vprotocol", "vruntime"}


# --- the rules themselves --------------------------------------------------------------------------------------------
PLANTED = [
    (downward, "vprotocol/plan.py", "import vruntime.http", "vprotocol may not import vruntime"),
    (downward, "vserver/app.py", "from vclient import client", "vserver may not import vclient"),
    (downward, "vruntime/http.py", "def f():\n    import vserver", "vruntime may not import vserver"),
    (downward, "algorithm_base/main.py", "from vprotocol.ids import JobId", "algorithm_base may not import vprotocol"),
    (downward, "proxy/app.py", "import vnode.vault", "proxy may not import vnode"),
    (forbidden_imports, "vprotocol/ids.py", "import time", "time is imported"),
    (forbidden_imports, "vprotocol/envelope/stream.py", "from pathlib import Path", "pathlib.Path"),
    (forbidden_imports, "vprotocol/keys.py", "import os", "os is imported"),
    (forbidden_imports, "vserver/jobs/submit.py", "from vprotocol.messages.orders import Order", "blind"),
    (forbidden_imports, "vserver/jobs/submit.py", "from vprotocol.messages import orders", "blind"),
    (forbidden_imports, "vserver/jobs/submit.py", "from vprotocol.envelope import open_sealed", "blind"),
    (forbidden_imports, "vclient/client.py", "import requests", "vruntime/http.py only"),
    (forbidden_imports, "vnode/daemon.py", "import docker.errors", "vnode/executors/ only"),
    (forbidden_imports, "vserver/jobs/model.py", "from flask import g", "a model knows no HTTP"),
    (forbidden_imports, "vserver/jobs/service.py", "import flask_restful", "a service raises domain errors"),
    (forbidden_imports, "proxy/routes.py", "from vruntime import keyfiles", "never a key"),
    (forbidden_imports, "vserver/db.py", "import pickle", "no pickle"),
    (forbidden_calls, "vnode/runner.py", "eval('1')", "no eval"),
    (forbidden_calls, "vnode/runner.py", "exec('1')", "no exec"),
    (forbidden_calls, "vnode/runner.py", "import os\nos.system('ls')", "no shell"),
    (forbidden_calls, "vnode/runner.py", "subprocess.run('ls', shell=True)", "no shell"),
    (forbidden_calls, "vnode/runner.py", "subprocess.run('ls', shell=flag)", "no shell"),
    (forbidden_calls, "vprotocol/plan.py", "datetime.now()", "no clock"),
    (forbidden_calls, "vprotocol/plan.py", "open('x')", "no files"),
    (forbidden_calls, "vnode/policy.py", "path.read_text()", "no files"),
    (meaningless_name, "vnode/utils.py", "", "named after its idea"),
    (meaningless_name, "vserver/common/text.py", "", "named after its idea"),
    (hidden_errors, "vnode/runner.py", "try:\n    x()\nexcept Exception:\n    pass", "broad except"),
]


@pytest.mark.parametrize(("rule", "path", "text", "said"), PLANTED, ids=[f"{p[1]}: {p[2]!r}" for p in PLANTED])
def test_a_planted_violation_is_found(rule, path, text, said):
    found = list(rule(_source(path, text)))
    assert found, "the rule did not see it"
    assert all(line.startswith(f"{path}:") for line in found)
    assert any(said in line for line in found)


INNOCENT = [
    ("vruntime/http.py", "import requests"),
    ("vnode/executors/docker.py", "import docker"),
    ("vnode/runner.py", "import vclient.client, proxy.app, time"),
    ("vprotocol/envelope/__init__.py", "from os import urandom\nfrom io import BytesIO\nfrom datetime import datetime"),
    ("vnode/runner.py", "import re\nre.compile('x')\nmodel.eval()\nsubprocess.run(['ls'], shell=False)"),
    ("vserver/jobs/submit.py", "from vprotocol.envelope import inspect"),
]


@pytest.mark.parametrize(("path", "text"), INNOCENT)
def test_what_is_allowed_is_not_accused(path, text):
    assert [line for rule in RULES for line in rule(_source(path, text))] == []


def test_a_planted_cycle_is_found():
    ring = [
        _source("vnode/a.py", "from vnode import b"),
        _source("vnode/b.py", "import vnode.c"),
        _source("vnode/c.py", "from vnode.a import thing"),
        _source("vnode/__init__.py", ""),
    ]
    assert import_cycles(ring) == ["vnode/a.py:1: an import cycle: vnode.a -> vnode.b -> vnode.c -> vnode.a"]


def test_an_import_inside_a_function_or_for_types_only_is_no_cycle():
    pair = [
        _source("vnode/a.py", "from vnode import b"),
        _source(
            "vnode/b.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import vnode.a\ndef f():\n    import vnode.a",
        ),
    ]
    assert import_cycles(pair) == []
