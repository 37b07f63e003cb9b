import pytest

from tests.contract.executor_suite import PROGRAMS, ExecutorSuite
from vnode.executors.base import ImageRef
from vnode.executors.scripted import ScriptedExecutor


class TestScriptedExecutor(ExecutorSuite):
    @pytest.fixture
    def executor(self):
        return ScriptedExecutor({name: program.scripted for name, program in PROGRAMS.items()})

    def image(self, executor, program):
        return executor.resolve_image(ImageRef(program)).id, None

    def known_image(self):
        return "upper"
