from pathlib import Path

from vserver.jobs.leases import LeaseTokens, hashed


def test_a_token_is_the_same_after_a_restart_and_differs_for_every_attempt(tmp_path: Path) -> None:
    path = tmp_path / "hub" / "lease.secret"
    first, second = LeaseTokens.from_file(path), LeaseTokens.from_file(path)
    assert first.token(7, 1) == second.token(7, 1)
    tokens = {first.token(run, attempt) for run in range(1, 30) for attempt in range(1, 30)}
    assert len(tokens) == 29 * 29
    assert path.stat().st_mode & 0o077 == 0


def test_another_hub_makes_other_tokens(tmp_path: Path) -> None:
    one, other = LeaseTokens.from_file(tmp_path / "a"), LeaseTokens.from_file(tmp_path / "b")
    assert not one.matches(other.token(1, 1), 1, 1)
    assert one.matches(one.token(1, 1), 1, 1)
    assert not one.matches(one.token(1, 1), 1, 2)
    assert not one.matches("ü", 1, 1)


def test_what_is_stored_is_not_the_token(tmp_path: Path) -> None:
    token = LeaseTokens(b"secret").token(1, 1)
    assert token not in hashed(token) and len(hashed(token)) == 64
