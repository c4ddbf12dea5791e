"""Scheduled retraining with Airflow 3: a DAG a job, whose only task is one shot. For the dags folder.

To change: SKYREEL, DATA, JOBS. Airflow decides when; the job still says what starts a shot, and what passes.
Promoted is a success; nothing to do, refused and busy are skipped tasks; a mistake fails at once, anything
else is tried again. A task that is cleared runs its shot for the same logical date again (now=).
Tried with Airflow 3.3.
"""

import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

SKYREEL = "/srv/skyreel"
DATA = "/srv/data"
JOBS = {"sample_weather": "0 6 * * *", "sample_clips": "47 3 * * 6"}
"""When each job comes due, in UTC."""
SKIPPED = {10: "nothing to do", 11: "refused", 12: "another shot of this job is at work"}
MISTAKE = 2


def shoot(job: str, now: datetime) -> None:
    """One shot of `job`, as if it were `now`; SIGTERM to the task reaches it, and it writes a checkpoint."""
    command = [f"{SKYREEL}/.venv/bin/skyreel", "retrain", f"job={job}", f"now={now.isoformat()}"]
    with subprocess.Popen(command, cwd=SKYREEL, env={**os.environ, "SKYREEL_DATA": DATA}) as shot:
        try:
            status = shot.wait()
        except BaseException:
            shot.send_signal(signal.SIGTERM)
            shot.wait()
            raise
    if status in SKIPPED:
        raise AirflowSkipException(SKIPPED[status])
    if status == MISTAKE:
        raise AirflowFailException(f"a mistake in the call or in the job {job}; the log says which")
    if status != 0:
        raise AirflowException(f"the shot of {job} ended with exit status {status}")


def make(job: str, cron: str) -> None:
    """The DAG of one job."""

    @dag(
        dag_id=f"skyreel_retrain_{job}",
        schedule=cron,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        tags=["skyreel"],
    )
    def retrain() -> None:
        @task(retries=2, retry_delay=timedelta(minutes=10))
        def shot() -> None:
            context = get_current_context()
            shoot(job, context.get("logical_date") or context["dag_run"].run_after)

        shot()

    retrain()


for name, times in JOBS.items():
    make(name, times)
