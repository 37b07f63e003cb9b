"""The normative pages name every field and every type, and no error code that does not exist."""

import re
from pathlib import Path

import pytest

from vprotocol import key_request, keylog, plan, receipt, subtask
from vprotocol.envelope import format as envelope
from vprotocol.errors import by_code
from vprotocol.signed import DocumentType

PAGES = Path(__file__).parents[3] / "docs" / "protocol"
MODELS = [
    ("envelope", envelope.Header),
    ("envelope", envelope.Statement),
    ("identity", keylog.IdentityEntry),
    ("identity", keylog.CertifyEntry),
    ("identity", keylog.RevokeEntry),
    ("identity", keylog.RotateRootEntry),
    ("identity", keylog.HeadBody),
    ("identity", key_request.KeyRequestBody),
    ("plan", plan.Plan),
    ("plan", plan.PlanOrganization),
    ("plan", plan.PlanImage),
    ("plan", plan.PlanStep),
    ("plan", plan.PlanOrder),
    ("plan", plan.PlanConnection),
    ("plan", plan.Limits),
    ("plan", plan.Delegation),
    ("plan", plan.Party),
    ("plan", plan.Supplement),
    ("plan", subtask.Subtask),
    ("plan", subtask.SubtaskTarget),
    ("plan", subtask.RunName),
    ("receipt", receipt.Receipt),
    ("receipt", receipt.OpenedInput),
    ("receipt", receipt.ReceiptOutput),
]


def text(page: str) -> str:
    return (PAGES / f"{page}.md").read_text("utf-8")


@pytest.mark.parametrize(("page", "model"), MODELS, ids=lambda value: getattr(value, "__name__", value))
def test_every_field_is_documented(page, model):
    missing = [name for name in model.model_fields if f"`{name}`" not in text(page)]
    assert not missing


def test_every_type_of_signed_document_is_documented():
    assert all(f"`{kind.value}`" in text("identity") for kind in DocumentType)


@pytest.mark.parametrize("page", ["envelope", "identity", "plan", "receipt"])
def test_every_error_code_that_a_page_names_exists(page):
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text(page)))
    likely = {code for code in named if code.endswith(("_invalid", "_refused", "_mismatch", "_changed", "_unknown"))}
    assert likely
    assert likely <= set(by_code())


def test_links_between_the_pages_lead_somewhere():
    for page in PAGES.glob("*.md"):
        for target, anchor in re.findall(r"\]\(([a-z]+\.md)?(#[a-z-]+)?\)", page.read_text("utf-8")):
            there = PAGES / target if target else page
            assert there.exists(), f"{page.name} → {target}"
            headings = {
                "#" + re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                for line in there.read_text("utf-8").splitlines()
                if line.startswith("#")
            }
            assert not anchor or anchor in headings, f"{page.name} → {target}{anchor}"
