"""The answers on the joined data, held against numbers that were worked out elsewhere."""

from pathlib import Path

import numpy as np

from demo import pooled

WDBC = Path(__file__).parents[3] / "examples" / "data" / "wdbc.csv"


def test_moments_of_the_real_data_are_those_that_are_published() -> None:
    table = pooled.read(WDBC, "diagnosis")
    found = pooled.moments(table.values)
    assert table.values.shape == (569, 30)
    assert (table.columns[0], table.texts[0]) == ("mean_radius", "malignant")
    # As in the data set's own description: mean radius 14.127 (3.524), mean area 654.889 (351.914).
    shown = np.array([found.mean[0], found.std[0], found.mean[3], found.std[3]])
    assert shown.round(3).tolist() == [14.127, 3.524, 654.889, 351.914]
    assert np.allclose(found.std, np.sqrt(found.m2 / 568))


def test_the_logistic_coefficients_are_where_the_gradient_is_zero() -> None:
    table = pooled.read(WDBC, "diagnosis")
    truth = np.array([text == "malignant" for text in table.texts])
    found = pooled.logistic(table.values, truth, ridge=0.7)
    scaled = (table.values - table.values.mean(axis=0)) / table.values.std(axis=0, ddof=1)
    design = np.column_stack([np.ones(569), scaled])

    def objective(beta: np.ndarray) -> float:
        eta = design @ beta
        return float(np.sum(np.logaddexp(0, eta) - truth * eta) + 0.35 * np.sum(beta[1:] ** 2))

    for place in range(31):
        nudge = np.zeros(31)
        nudge[place] = 1e-5
        slope = (objective(found.coefficients + nudge) - objective(found.coefficients - nudge)) / 2e-5
        assert abs(slope) < 1e-4
    assert not np.allclose(found.first_round, found.coefficients)
    # Anybody's logistic regression tells these tumours apart.
    assert np.mean((design @ found.coefficients > 0) == truth) > 0.98


def test_joined_parts_are_the_whole() -> None:
    table = pooled.read(WDBC, "diagnosis")
    parts = [pooled.Table(table.columns, table.values[a:b], table.texts[a:b]) for a, b in ((0, 200), (200, 569))]
    assert np.array_equal(pooled.joined(parts).values, table.values)
    assert pooled.joined(parts).texts == table.texts
