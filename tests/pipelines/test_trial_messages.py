"""What a process that trains has logged last, for those who wait for it."""

from pipelines.sweeps.trial_process import last_message

LOG = """\
10:00:00 INFO run runs/a
10:00:09 INFO epoch 3: train/loss 0.91, 15% done, about 0 min 21 s left
"""


def test_the_last_whole_message_is_told_without_clock_and_level() -> None:
    assert last_message(LOG) == "epoch 3: train/loss 0.91, 15% done, about 0 min 21 s left"
    assert last_message(LOG + "10:00:11 INFO epo") == last_message(LOG)


def test_tables_and_advice_after_the_log_are_no_message() -> None:
    assert last_message(LOG + "  make ui    # the runs in MLflow\n").startswith("epoch 3")


def test_before_the_first_message_it_begins_and_a_long_one_is_cut() -> None:
    assert last_message("") == last_message("Traceback") == "begins"
    assert last_message("10:00:00 INFO " + "x" * 500 + "\n", 20) == "x" * 20 + "..."
