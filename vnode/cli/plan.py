"""`vnode plan`: what this node would do with a signed plan, without doing it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from vnode.cli._choice import Choice, chosen_by_options
from vnode.cli._key_log import own_log
from vnode.compile import AcceptedRun, sandbox_spec
from vnode.config import NodeSettings
from vnode.deployment import Deployment
from vnode.executors.base import Layout, ResolvedImage, SandboxSpec
from vnode.executors.docker_convert import layout as docker_layout
from vnode.executors.process import ProcessExecutor
from vnode.launch import PROXY_PORT
from vnode.policy import Question, full_objections, outer_objections
from vprotocol.envelope import Suite
from vprotocol.errors import DocumentInvalid, TrustError
from vprotocol.ids import Fingerprint
from vprotocol.keys import KeyKind
from vprotocol.plan import PLAN_LIMIT_BYTES, ExpectedRun, SignedPlan, expected_root_run, root_runs
from vruntime.cli import Out
from vruntime.cli import command as cli_command
from vruntime.clock import SystemClock
from vruntime.trust_store import TrustStore

HIDDEN = "(hidden)"


@cli_command("plan", short_help="Show what would happen with a signed plan.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@chosen_by_options
@click.option("--method", help="Also judge this function, which in a real order is sealed.")
@click.option("--show-values", is_flag=True, help="Show the values of variables that may be secret.")
def command(file: Path, choice: Choice, method: str | None, show_values: bool, out: Out) -> None:
    """Print what this node's policy says to the signed plan in FILE, and which sandboxes it would start.

    Nothing is asked of the hub: other organizations are those that this node knows already.
    """
    node = choice.load()
    plan = read_plan(file)
    answer = judged(node, plan, method, show_values=show_values, now=int(SystemClock().now()))
    out.result(answer, lambda: _human(out, answer))


def read_plan(path: Path) -> SignedPlan:
    """:raises TrustError: not a signed plan."""
    with path.open("rb") as file:
        raw = file.read(2 * PLAN_LIMIT_BYTES)
    try:
        return SignedPlan.from_wire(json.loads(raw))
    except ValueError:
        raise DocumentInvalid(f"{path} is not a signed plan", hint="`vclient` writes one before it submits.") from None


def judged(node: Deployment, signed: SignedPlan, method: str | None, *, show_values: bool, now: int) -> dict[str, Any]:
    """Signature, and for each run at this organization: objections, and the sandbox if there are none."""
    own = own_log(node.places).fingerprint
    store = TrustStore(node.places.trust_store)
    plan = signed.plan
    trust = {one.fingerprint: known.level for one in plan.organizations if (known := store.find(one.fingerprint))}
    runs = []
    for _, path, organization in root_runs(plan):
        if organization == own:
            run = expected_root_run(plan, path, own)
            question = Question(plan, run, Suite(plan.suite), trust)
            found = (
                outer_objections(node.settings, question)
                if method is None
                else full_objections(node.settings, question, method)
            )
            runs.append(
                {
                    "path": str(path),
                    "objections": [{"reason": one.reason.value, "sentence": one.sentence} for one in found],
                    "sandbox": spec_shown(node, signed, run, show_values=show_values),
                }
            )
    return {"plan": signed.hash, "name": plan.name, "signature": _signature(signed, store, now), "runs": runs}


def _signature(signed: SignedPlan, store: TrustStore, now: int) -> str:
    """`valid`, or why it cannot be said."""
    issuer = signed.plan.issuer
    try:
        log = store.get(Fingerprint(issuer.organization)).log
        signed.verify(log.certificate(issuer.key, KeyKind.USER, now).key)
        signed.plan.check_time(now)
    except TrustError as error:
        return f"{error.code}: {error}"
    return "valid"


def spec_shown(node: Deployment, signed: SignedPlan, run: ExpectedRun, *, show_values: bool) -> dict[str, Any]:
    """The sandbox as `compile.py` decides it; of its files only the paths, because the order is sealed."""
    settings, name = node.settings, f"vnode-{node.name}-{run.path.step}"
    accepted = AcceptedRun(
        name=name, key=f"{signed.hash}|{run.path}", job=signed.plan.job, plan=signed.plan, run=run,
        order=b"", inputs=(), token=b"",
    )  # fmt: skip
    image = ResolvedImage(id=run.image.config_digest, config_digest=run.image.config_digest)
    spec = sandbox_spec(settings, accepted, image, _layout(node, name))
    return _shown(settings, spec, show_values)


def _layout(node: Deployment, name: str) -> Layout:
    if node.settings.executor == "docker":
        return docker_layout(PROXY_PORT)
    return ProcessExecutor(node.folder / "sandboxes").layout(name)


def _shown(settings: NodeSettings, spec: SandboxSpec, show_values: bool) -> dict[str, Any]:
    document = {key: value for key, value in asdict(spec).items() if key != "files"}
    document["files"] = [file.path for file in spec.files]
    secret = {name for name in spec.environment if name in settings.algorithm_env or "_DB_PARAM_" in name}
    if not show_values:
        document["environment"] = {
            name: HIDDEN if name in secret else value for name, value in spec.environment.items()
        }
    return document


def _human(out: Out, answer: dict[str, Any]) -> None:
    out.line(f"{answer['name']} ({answer['plan']}), signature: {answer['signature']}")
    if not answer["runs"]:
        out.line("Nothing of this plan runs at this organization.")
    for run in answer["runs"]:
        out.line()
        out.line(f"{run['path']}: {'refused' if run['objections'] else 'no objections'}")
        for objection in run["objections"]:
            out.line(f"  {objection['reason']}: {objection['sentence']}")
        out.line(json.dumps(run["sandbox"], indent=2, ensure_ascii=False, default=str))
