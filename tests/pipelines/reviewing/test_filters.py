"""Filters: short forms mean what MLflow's long ones mean, and what cannot be read is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.errors import InputError
from pipelines.reviewing.filters import Term, mlflow_filter, read_filter
from pipelines.reviewing.names import Name, largest_is_best, read_name, read_order


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("metrics.x<3", "metrics.`x` < 3.0"),
        ("test/rmse/air/24h <= 2.5", "metrics.`test/rmse/air/24h` <= 2.5"),
        ("metric.`test/rmse/air/24h`>-1e-3", "metrics.`test/rmse/air/24h` > -0.001"),
        ("tags.skyreel.kind=retrain", "tags.`skyreel.kind` = 'retrain'"),
        ("skyreel.kind == retrain", "tags.`skyreel.kind` = 'retrain'"),
        ('tag."mlflow.user" != "me"', "tags.`mlflow.user` != 'me'"),
        ("model.recurrent.kind=convgru", "params.`model.recurrent.kind` = 'convgru'"),
        ("params.note='a and b' AND status=finished", "params.`note` = 'a and b' and status = 'FINISHED'"),
        ("name LIKE 'run-%'", "run_name LIKE 'run-%'"),
        ("attributes.run_id in ('a', 'b')", "run_id IN ('a', 'b')"),
        ("tags.a is not null and params.b IS NULL", "tags.`a` IS NOT NULL and params.`b` IS NULL"),
        ("started>2026-11-01", "start_time > 1793491200000"),
        ('tags.note="it\'s"', 'tags.`note` = "it\'s"'),
        ("", ""),
    ],
)
def test_a_short_form_means_the_long_one(short: str, long: str) -> None:
    assert mlflow_filter(read_filter(short)) == long
    assert mlflow_filter(read_filter(long)) == long


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("metrics.x", "does not begin with NAME"),
        ("metrics.x<much", "compared with a number, not with 'much'"),
        ("metrics.x LIKE '3'", "compared by =, !=, <"),
        ("tags.a=b or tags.c=d", "only `and` between them"),
        ("status=FINISH", "did you mean FINISHED?"),
        ("tags.a='b' tags.c=d", "is left over"),
        ("tags.a=", "comparisons have a value"),
        ("metrics.x<1 and", "not with '1 and'"),
        ("started>soon", "a time such as 2026-11-01"),
        ("run_id in 'a'", "a list in brackets"),
        ("duration<3", "there are run_name, status"),
        ("attributes.stat=x", "did you mean status?"),
    ],
)
def test_what_cannot_be_read_is_told_with_a_way_out(text: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        read_filter(text)
    assert part in str(caught.value)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["metrics", "params", "tags"]),
            st.text("abcdefgh/_-. 0123456789", min_size=1).filter(lambda key: key.strip(". ") == key),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text("abc äß<>=%_()and or'", max_size=12),
        ),
        max_size=4,
    )
)
def test_every_filter_is_read_back_as_it_is_written(parts: list[tuple[str, str, float, str]]) -> None:
    terms = tuple(
        Term(Name(kind, key), "<" if kind == "metrics" else "=", number if kind == "metrics" else text)  # type: ignore[arg-type]
        for kind, key, number, text in parts
    )
    assert read_filter(mlflow_filter(terms)) == terms


def test_names_are_what_people_call_them() -> None:
    assert read_name("test/cider") == Name("metrics", "test/cider")
    assert read_name("model.encoder.depth") == Name("params", "model.encoder.depth")
    assert read_name("parameters.seed") == Name("params", "seed")
    assert read_name("run name") == read_name("name") == read_name("attributes.run_name")
    assert read_order("-test/cider").descending
    assert read_order("metrics.`test/cider` DESC") == read_order("-test/cider")
    assert not read_order("age").descending


def test_the_name_of_a_figure_tells_which_way_is_better() -> None:
    for key in ("test/cider", "test/acc/air/6h", "test/skill_persistence/rmse_like/6h", "test/bleu_4"):
        assert largest_is_best(Name("metrics", key)), key
    for key in ("test/rmse/air/24h", "validation/loss"):
        assert largest_is_best(Name("metrics", key)) is False
    assert largest_is_best(Name("metrics", "epoch")) is None
