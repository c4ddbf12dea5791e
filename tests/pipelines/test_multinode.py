"""torchrun: settings for any number of nodes, ranks that are started again, nodes that come back."""

import json
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
import yaml

from datamodules.errors import InputError
from pipelines.placement import placed
from pipelines.rundir import RunDir
from pipelines.settings import TrainerOptions
from tests.pipelines.families import DYING, Family, family
from tests.pipelines.small_files import ROOT, mlflow_runs, steps_of, words, write_maps

# SQLAlchemy's pool, kept by MLflow for the whole process, closes its connections when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

TEMPLATES = ROOT / "docs" / "templates"
AGENT = ("-m", "torch.distributed.run")
MULTINODE = (
    "trainer=multinode",
    "trainer.accelerator=cpu",
    "trainer.precision=32",
    "trainer.threads=1",
    "data.batch_size=16",
    "trainer.checkpoint_minutes=0.01",
)
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "a",
    "RANK": "3",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
}
CPU = TrainerOptions(accelerator="cpu", devices="auto", strategy="ddp")


def test_devices_and_nodes_are_those_that_torchrun_has_started() -> None:
    found = placed(CPU, TORCHRUN)
    assert (found.devices, found.nodes) == (2, 2)


def test_threads_are_shared_out_among_the_processes_of_a_node() -> None:
    cores = len(os.sched_getaffinity(0))
    assert placed(CPU, TORCHRUN).threads == max(cores // 2, 1)
    assert placed(CPU, {**TORCHRUN, "OMP_NUM_THREADS": "1"}).threads is None
    assert placed(CPU.model_copy(update={"threads": 3}), TORCHRUN).threads == 3
    assert placed(CPU, {}).threads is None


@pytest.mark.parametrize(
    ("options", "environ", "told"),
    [
        (TrainerOptions(accelerator="cpu"), TORCHRUN, "2 processes on each of 2 nodes.*trainer=multinode"),
        (CPU.model_copy(update={"nodes": 3}), TORCHRUN, "trainer.nodes=3: torchrun has started"),
        (CPU, {**TORCHRUN, "WORLD_SIZE": "3"}, "every node needs as many"),
        (CPU.model_copy(update={"nodes": 2}), {}, "started by torchrun or srun"),
        (CPU, {"RANK": "1", "WORLD_SIZE": "2"}, "start it with torchrun"),
    ],
    ids=["alone", "nodes", "unequal", "no launcher", "not torchrun"],
)
def test_settings_that_do_not_fit_what_was_started_are_refused(
    options: TrainerOptions, environ: dict[str, str], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        placed(options, environ)


def test_the_templates_can_be_read_and_train_what_they_start() -> None:
    service, job = yaml.safe_load_all((TEMPLATES / "kubernetes-job.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert service["metadata"]["name"] == job["spec"]["template"]["spec"]["subdomain"]
    assert f"--nnodes={job['spec']['completions']}" in container["command"]
    assert job["spec"]["completionMode"] == "Indexed"
    assert {"name": "TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "value": "1"} in container["env"]
    assert "export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1" in (TEMPLATES / "torchrun.sh").read_text()
    for name, word in (("torchrun.sh", "trainer=multinode"), ("slurm.sbatch", "trainer=slurm")):
        subprocess.run(["bash", "-n", TEMPLATES / name], check=True)
        assert word in (TEMPLATES / name).read_text()
        assert (ROOT / "conf" / "trainer" / f"{word.removeprefix('trainer=')}.yaml").exists()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small file."""
    write_maps(tmp_path / "air.nc", steps_of(300))
    return tmp_path


def command(folder: Path, *more: str) -> list[str]:
    """What torchrun is to start."""
    return [str(DYING), "train", *words(folder, *MULTINODE, *more)]


def finished(folder: Path) -> None:
    """Assert that the run of `folder` came to its end as one MLflow run."""
    assert (folder / "runs" / "tiny" / "a" / "metrics.json").exists()
    assert [run.info.status for run in mlflow_runs(folder)[1]] == ["FINISHED"]


def test_torchrun_starts_a_run_again_that_has_lost_a_rank(folder: Path) -> None:
    with family(folder) as found:
        one = ("--standalone", "--nnodes=1", "--nproc-per-node=2", "--max-restarts=1")
        torchrun = found.start([*AGENT, *one, *command(folder, "trainer.max_epochs=3")], DIES="1 train")
        found.seconds_until_gone(400.0)
        assert torchrun.wait() == 0, found.told()
        assert "going on from last.ckpt" in found.told()
        finished(folder)


@pytest.mark.slow
def test_ranks_end_in_order_when_torchrun_is_killed_and_the_run_goes_on(folder: Path) -> None:
    run = RunDir(folder / "runs" / "tiny" / "a")
    one = ("--standalone", "--nnodes=1", "--nproc-per-node=2")
    with family(folder) as found:
        torchrun = found.start([*AGENT, *one, *command(folder, "trainer.max_epochs=400", "data.workers=1")])
        found.wait_for(run.best.exists)
        torchrun.kill()
        assert found.seconds_until_gone() < 20, found.told()
        assert "stopped by SIGTERM" in found.told()
        assert statuses(run)[-1] == "KILLED"
    step = torch.load(run.last, weights_only=True)["global_step"]
    with family(folder) as found:
        torchrun = found.start(
            [*AGENT, *one, *command(folder, f"trainer.max_steps={step + 5}", "trainer.max_epochs=400")]
        )
        found.seconds_until_gone(400.0)
        assert torchrun.wait() == 0, found.told()
    assert torch.load(run.last, weights_only=True)["global_step"] == step + 5
    finished(folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_processes_of_torchrun_stops_them_with_a_checkpoint(
    folder: Path, number: signal.Signals
) -> None:
    run = RunDir(folder / "runs" / "tiny" / "a")
    one = ("--standalone", "--nnodes=1", "--nproc-per-node=2")
    with family(folder) as found:
        torchrun = found.start([*AGENT, *one, *command(folder, "trainer.max_epochs=400", "data.workers=1")])
        found.wait_for(run.best.exists)
        before = run.last.stat().st_mtime_ns
        torchrun.send_signal(signal.SIGTERM) if number == signal.SIGTERM else signal_ranks(found, number)
        assert found.seconds_until_gone() < 30, found.told()
        assert "DataLoader worker" not in found.told()
        assert f"stopped by {number.name}" in found.told()
        assert run.last.stat().st_mtime_ns > before
        assert statuses(run)[-1] == "KILLED"


def signal_ranks(found: Family, number: signal.Signals) -> None:
    """Signal all processes of each rank, data workers included, as SLURM does."""
    for process in ranks_of(found):
        if os.getpgid(process) == process:
            os.killpg(process, number)


def ranks_of(found: Family) -> list[int]:
    """The processes that torchrun has started, and those that read data for them."""
    return [
        process
        for process, call in found.living().items()
        if DYING.name in call and "torch.distributed.run" not in call
    ]


def statuses(run: RunDir) -> list[str]:
    """How the launches of a run ended, by its journal."""
    lines = map(json.loads, (run.tracking / "journal.jsonl").read_text().splitlines())
    return [line["status"] for line in lines if line["kind"] == "status"]


class Nodes:
    """Two machines, as network namespaces with a cable between them, or both as this one."""

    def __init__(self, names: tuple[str, str] | None) -> None:
        self.names = names
        self.head = "10.231.7.1" if names else "127.0.0.1"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self, found: Family, node: int, *call: str) -> subprocess.Popen[bytes]:
        """torchrun on one of them."""
        before = ["ip", "netns", "exec", self.names[node]] if self.names else []
        local = f"--local-addr={'10.231.7.' + str(node + 1) if self.names else self.head}"
        meeting = ("--rdzv-backend=c10d", f"--rdzv-endpoint={self.head}:{self.port}", "--rdzv-id=nodes")
        meets = f"--rdzv-conf=join_timeout=120,is_host={int(node == 0)}"
        shape = ("--nnodes=2", "--nproc-per-node=1", "--max-restarts=5")
        interface = {"GLOO_SOCKET_IFNAME": f"sky{node}"} if self.names else {}
        interface["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # as the templates have it
        return found.start([*AGENT, *meeting, meets, local, *shape, *call], before, **interface)


@pytest.fixture
def two_machines() -> Iterator[Nodes]:
    """Two network namespaces."""
    names = tuple(f"skyreel-{uuid.uuid4().hex[:6]}-{node}" for node in range(2))
    with ExitStack() as stack:
        for name in names:
            if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
                pytest.skip("this system allows no network namespaces (ip netns add)")
            stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=False)
        link = ["ip", "-n", names[0], "link", "add", "sky0", "type", "veth", "peer", "name", "sky1", "netns"]
        if subprocess.run([*link, names[1]], capture_output=True).returncode:
            pytest.skip("this system allows no cables between network namespaces (veth)")
        for node, name in enumerate(names):
            here = ["ip", "-n", name]
            subprocess.run(
                [*here, "address", "add", f"10.231.7.{node + 1}/24", "dev", f"sky{node}"], check=True
            )
            for interface in ("lo", f"sky{node}"):
                subprocess.run([*here, "link", "set", interface, "up"], check=True)
        yield Nodes((names[0], names[1]))


def lose_a_node(folder: Path, nodes: Nodes) -> None:
    """Train on two nodes, of which the second is killed and started again."""
    run = RunDir(folder / "runs" / "tiny" / "a")
    call = command(folder, "trainer.max_steps=200", "trainer.max_epochs=null")
    with family(folder) as head, family(folder) as other:
        first, second = nodes.start(head, 0, *call), nodes.start(other, 1, *call)
        head.wait_for(run.best.exists)
        for process in other.living():
            os.kill(process, signal.SIGKILL)
        second.wait()
        head.wait_for(lambda: not ranks_of(head))
        again = nodes.start(other, 1, *call)
        head.seconds_until_gone(500.0)
        other.seconds_until_gone(60.0)
        assert (first.wait(), again.wait()) == (0, 0), head.told() + other.told()
        assert "going on from last.ckpt" in head.told() + other.told()
    assert torch.load(run.last, weights_only=True)["global_step"] == 200
    finished(folder)


@pytest.mark.slow
def test_two_torchruns_go_on_after_one_was_killed_and_started_again(folder: Path) -> None:
    lose_a_node(folder, Nodes(None))


@pytest.mark.slow
def test_two_machines_go_on_after_one_was_lost_and_came_back(folder: Path, two_machines: Nodes) -> None:
    lose_a_node(folder, two_machines)
