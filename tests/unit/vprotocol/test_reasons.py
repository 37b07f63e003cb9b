from pathlib import Path

from vprotocol.reasons import EXPLANATIONS, TRANSIENT, Reason


def test_every_reason_has_a_sentence_and_a_remedy():
    assert set(EXPLANATIONS) == set(Reason)
    for sentence, remedy in EXPLANATIONS.values():
        assert sentence[0].isupper() and sentence[-1] == "."
        assert remedy[0].isupper() and remedy[-1] in ".?"


def test_no_two_reasons_say_the_same():
    assert len({explanation.sentence for explanation in EXPLANATIONS.values()}) == len(Reason)


def test_only_these_retry_by_themselves():
    assert {reason.value for reason in TRANSIENT} == {"lost", "refused_now", "upstream_unavailable", "input_incomplete"}


def test_every_reason_is_documented():
    document = (Path(__file__).parents[3] / "docs/protocol/states.md").read_text()
    for reason, (sentence, _) in EXPLANATIONS.items():
        retries = "yes" if reason in TRANSIENT else ""
        assert f"| `{reason.value}` | {sentence} | {retries} |" in document
