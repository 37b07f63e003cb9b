from vserver.accounts.passwords import hash_password, nobodys_hash, password_matches
from vserver.config import PasswordCost

CHEAP = PasswordCost(memory_kib=64, iterations=1)


def test_a_hash_knows_its_password_and_its_cost() -> None:
    made = hash_password("correct horse", CHEAP)
    assert made.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert password_matches("correct horse", made)
    assert not password_matches("correct hors", made)
    assert not password_matches("", made)


def test_no_two_hashes_are_the_same() -> None:
    assert hash_password("x", CHEAP) != hash_password("x", CHEAP)


def test_nobodys_hash_costs_as_much_and_matches_nothing() -> None:
    assert nobodys_hash(CHEAP).startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert not password_matches("", nobodys_hash(CHEAP))
