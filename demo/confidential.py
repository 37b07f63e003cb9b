"""What nobody but the participants may learn: methods, argument values, column names, results.

Worked out from the data themselves, so that it can be looked for at a hub that never had any of it.
"""

from collections.abc import Sequence

from demo import pooled
from demo.analyses import METHODS, POSITIVE, RIDGE, TARGET, TOLERANCE
from demo.needles import Secret, too_short


def secrets(parts: Sequence[pooled.Table], whole: pooled.Table) -> tuple[list[Secret], list[Secret]]:
    """(those that are searched for, those too short to mean anything)"""
    truth = pooled.moments(whole.values)
    fit = pooled.logistic(whole.values, [text == POSITIVE for text in whole.texts], RIDGE)
    found = [
        *(Secret("method", name) for name in METHODS),
        *(Secret("argument", value) for value in (TARGET, POSITIVE, RIDGE, TOLERANCE)),
        *(Secret("argument", float(value)) for value in fit.first_round),  # what the second round is asked with
        *(Secret("column", name) for name in whole.columns),
        *(Secret("result", float(value)) for values in (truth.mean, truth.std) for value in values),
        *(Secret("result", float(value)) for value in fit.coefficients),
    ]
    for part in parts:
        local = pooled.moments(part.values)
        found += [Secret("result", float(value)) for values in (local.mean, local.m2) for value in values]
        found.append(Secret("result", float(len(part.values))))
    unique = sorted(set(found), key=lambda secret: (secret.kind, str(secret.value)))
    short = set(too_short(unique))
    return [secret for secret in unique if secret not in short], sorted(short, key=str)
