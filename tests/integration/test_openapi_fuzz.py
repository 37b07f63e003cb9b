"""Whatever fits the OpenAPI description, and much that does not, from everybody: no failure, no undocumented answer.

The hub that is asked holds organizations, users, nodes and a job, so that a small number drawn as an id often names
something. Its clock moves by itself: nothing that is held is waited for.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.federation import Caller, Federation
from vruntime.clock import ManualClock

pytestmark = pytest.mark.slow

EXAMPLES = 3  # for each operation, caller and mode: all of them together take less than a minute
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXPECTED = {
    "administrator": {200, 201, 400, 404},
    "researcher": {200, 400, 403, 404},
    "node": {200, 400, 403, 404},
    "nobody": {200, 400, 401},
}
LOGGING_OUT = "DELETE /api/v1/token"  # the one call after which nothing else could be tried


@dataclass
class Answers:
    statuses: set[int] = field(default_factory=set)
    wrong: dict[tuple[str, str, int], str] = field(default_factory=dict)  # the first of each kind


def operations(federation: Federation) -> list[APIOperation]:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", federation.app, config=SchemathesisConfig())
    found = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    assert len(found) > 50
    return [one for one in found if one.label != LOGGING_OUT]


@pytest.fixture
def full(tmp_path: Path) -> Federation:
    """A hub with one job that a node has begun, and one that waits."""
    made = Federation(tmp_path, ManualClock())
    made.submit(made.simple(on=(0, 1)))
    made.node(0).claim(want=1)
    made.submit(made.simple(on=(2,)))
    return made


def headers_of(federation: Federation, who: str) -> dict[str, str]:
    callers = {
        "administrator": lambda: federation.user_with_role(0, "Administrator"),
        "researcher": lambda: federation.person(0),
        "node": lambda: federation.node(0),
    }
    make = callers.get(who)
    caller: Caller | None = make() if make else None
    return {} if caller is None else {"Authorization": f"Bearer {caller.token}"}


@pytest.mark.parametrize("who", ["administrator", "researcher", "node", "nobody"])
def test_every_answer_is_documented_and_none_is_a_failure(full: Federation, who: str) -> None:
    headers = headers_of(full, who)
    answers = Answers()
    for operation in operations(full):
        for mode in GenerationMode:
            full.clock.advance(60)  # type: ignore[attr-defined]  # or most log-ins would meet the rate limit
            tried(operation, mode, headers, answers)
    full.hub.database.dispose()
    assert not answers.wrong, "\n\n".join(answers.wrong.values())
    assert EXPECTED[who] <= answers.statuses  # they came as far as they may


def tried(operation: APIOperation, mode: GenerationMode, headers: dict[str, str], answers: Answers) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Case) -> None:
        response = case.call(headers=headers)
        answers.statuses.add(response.status_code)
        for check in CHECKS:
            try:
                case.validate_response(response, checks=[check])
            except BaseExceptionGroup as group:
                kind = (operation.label, check.__name__, response.status_code)
                answers.wrong.setdefault(kind, f"{kind}: {group.exceptions[0]}")

    with suppress(Unsatisfiable):  # a call without any parameter cannot be made wrongly
        call()
