"""The forest plot: every figure stands at its place, and a wide interval does not flatten the rest."""

import re

from pipelines.reports.forest import WIDEST, Row, forest


def dots(rows: list[Row]) -> list[float]:
    return [float(one) for one in re.findall(r'<circle cx="([\d.]+)"', str(forest(rows, "gains")))]


def test_large_gains_stand_apart_in_proportion() -> None:
    zero, half, most = dots([Row("a", 0.0, None, None), Row("b", 0.5, 0.4, 0.6), Row("c", 1.0, 0.9, 1.1)])
    assert abs((most - half) - (half - zero)) < 0.2


def test_a_wild_interval_is_cut_and_leaves_the_others_room() -> None:
    small = [Row("a", 0.0, -0.01, 0.01), Row("b", 0.4, 0.3, 0.45)]
    plain, beside = dots(small), dots([*small, Row("c", 0.1, -9.0, 9.0)])
    assert beside[1] - beside[0] > 0.2 * (plain[1] - plain[0])
    assert dots([Row("a", 0.1, -9.0, 9.0)])[0] > 150
    assert WIDEST < 9
