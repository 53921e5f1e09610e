"""The files of infra/cluster: what Kubernetes and Ray's launcher read, and the command that they run."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shards import manifest

FOLDER = Path(__file__).resolve().parent.parent.parent / "infra" / "cluster"
JOB, LAUNCHED = (yaml.safe_load((FOLDER / name).read_text()) for name in ("rayjob.yaml", "aws.yaml"))
COMMANDS = {"rayjob": JOB["spec"]["entrypoint"], "aws": LAUNCHED["head_start_ray_commands"][-1]}
TINY = ["source=rendered", "count=24", "rows_per_shard=8", "vocabulary=100", "strength=0"]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_runs_on_the_cluster_that_it_finds(name, cluster, tmp_path):
    told = shlex.split(COMMANDS[name])
    assert (told[:3], told[-2:]) == (["python", "-m", "ingest.shard"], ["executor=ray", "address=auto"])
    done = subprocess.run(
        [sys.executable, *told[1:], *TINY, "root=", f"out={tmp_path}"], capture_output=True, text=True,
        env={**os.environ, "RAY_ADDRESS": cluster},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [manifest.load(tmp_path / split).written for split in ("train", "val", "test")] == [24] * 3


def test_the_job_of_kubernetes_brings_a_cluster_that_grows_and_shares_the_data():
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    cluster = JOB["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"]
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] < workers["maxReplicas"]
    for group in (cluster["headGroupSpec"], workers):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
        assert all(path in COMMANDS["rayjob"] for path in (m["mountPath"] for m in container["volumeMounts"]))
        assert container["resources"]["limits"] == container["resources"]["requests"]


def test_the_cluster_of_the_launcher_is_one_that_ray_accepts():
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    pytest.importorskip("jsonschema", reason="Ray checks clusters by jsonschema")
    from ray.autoscaler._private.util import prepare_config, validate_config

    whole = prepare_config(LAUNCHED)
    validate_config(whole)
    kinds = whole["available_node_types"]
    assert kinds["worker"]["min_workers"] < kinds["worker"]["max_workers"] <= whole["max_workers"]
    assert kinds[whole["head_node_type"]]["resources"] == {"CPU": 0}
