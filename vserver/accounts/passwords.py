"""Passwords: Argon2id, with the cost that the operator chose. Slow on purpose; call it through `Hub.hashing`."""

import os
from functools import lru_cache

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from vserver.config import PasswordCost


def hash_password(password: str, cost: PasswordCost) -> str:
    """A PHC string: algorithm, cost, salt and hash."""
    made = Argon2id(
        salt=os.urandom(16), length=32, iterations=cost.iterations, lanes=1, memory_cost=cost.memory_kib
    ).derive_phc_encoded(password.encode())
    return str(made)


def password_matches(password: str, phc: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(password.encode(), phc)
    except InvalidKey:
        return False
    return True


@lru_cache(maxsize=4)
def nobodys_hash(cost: PasswordCost) -> str:
    """To be compared with when there is no such user, so that the time it takes tells nothing."""
    return hash_password(os.urandom(16).hex(), cost)
