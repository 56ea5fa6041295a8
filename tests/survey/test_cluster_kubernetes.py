"""What the Dask operator of Kubernetes is asked for, held against its own definition of a DaskCluster."""

import sys
from pathlib import Path

import pytest

from isolux.errors import InputError, MissingExtra
from isolux.survey.cluster import open_cluster
from isolux.survey.cluster_kubernetes import cluster_manifest
from isolux.survey.options import ClusterOptions

KINDS = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
}
OPTIONS = {
    "image": "registry.example.org/isolux:0.1",
    "volumes": [{"name": "survey", "persistentVolumeClaim": {"claimName": "survey"}}],
    "volume_mounts": [{"name": "survey", "mountPath": "/survey"}],
}


def options(**changed):
    own = {"kind": "kubernetes", "memory": "4GiB", "workers": 20, "threads": 2, "options": OPTIONS}
    return ClusterOptions(**own | changed)


def faults(value, schema, place=""):
    """Where a value departs from a structural schema of Kubernetes; what the schema does not name is a fault too."""
    if value is None and schema.get("nullable"):
        return
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str):
            yield f"{place}: {value!r}"
        return
    wanted = KINDS[schema["type"]] if "type" in schema else object
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        yield f"{place}: {value!r} is no {schema['type']}"
    elif isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        free = schema.get("x-kubernetes-preserve-unknown-fields") or not (known or others)
        yield from (f"{place}: has no {name}" for name in schema.get("required", ()) if name not in value)
        for name, inner in value.items():
            if name in known or isinstance(others, dict):
                yield from faults(inner, known.get(name) or others, f"{place}.{name}")
            elif not free:
                yield f"{place}: {name} is unknown"
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from faults(inner, schema["items"], f"{place}[{number}]")


@pytest.fixture(scope="module")
def schema():
    operator = pytest.importorskip("dask_kubernetes.operator")
    yaml = pytest.importorskip("yaml")
    chart = Path(operator.__file__).parent / "deployment/helm/dask-kubernetes-operator/crds/daskcluster.yaml"
    definition = yaml.safe_load(chart.read_text(encoding="utf-8"))
    (version,) = definition["spec"]["versions"]
    found = version["schema"]["openAPIV3Schema"]
    of_all = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    return found | {"properties": found["properties"] | of_all}


@pytest.mark.parametrize("extra", [{}, {"gpus": 1, "env": {"A": "b"}, "name": "run-7", "idle_timeout": 60}])
def test_manifest_is_what_the_operator_takes(schema, extra):
    assert list(faults(cluster_manifest(options(options={**OPTIONS, **extra})), schema)) == []


def test_faults_are_found(schema):
    manifest = cluster_manifest(options(options={**OPTIONS, "volumes": [{"nam": "x"}]}))
    manifest["spec"]["worker"]["replicas"] = "many"
    found = "\n".join(faults(manifest, schema))
    assert ".spec.worker.spec.volumes[0]: has no name" in found
    assert ".spec.worker.spec.volumes[0]: nam is unknown" in found
    assert ".spec.worker.replicas: 'many'" in found


def test_workers_are_as_asked_for():
    worker = cluster_manifest(options(options={**OPTIONS, "gpus": 1}))["spec"]["worker"]
    (container,) = worker["spec"]["containers"]
    assert worker["replicas"] == 20
    asked = {"cpu": "2", "memory": str(4 << 30), "nvidia.com/gpu": "1"}
    assert container["resources"] == {"requests": asked, "limits": asked}
    words = container["args"]
    assert words[words.index("--nthreads") + 1] == "1"
    assert words[words.index("--memory-limit") + 1] == str(4 << 30)
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] == "0"


def test_all_pods_have_the_volumes():
    manifest = cluster_manifest(options())
    for role in ("scheduler", "worker"):
        pod = manifest["spec"][role]["spec"]
        assert pod["volumes"] == OPTIONS["volumes"]
        assert pod["containers"][0]["volumeMounts"] == OPTIONS["volume_mounts"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"options": {}}, "image: "),
        ({"memory": "auto"}, "memory of a worker.*4GiB"),
        ({"options": {"imag": "x"}}, "unknown option 'imag' of a Kubernetes cluster; did you mean 'image'"),
    ],
)
def test_options_that_cannot_be_meant(changed, words):
    with pytest.raises(InputError, match=words):
        cluster_manifest(options(**changed))


def test_missing_library_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", None)
    with pytest.raises(MissingExtra, match=r"dask-kubernetes.*isolux\[cluster\]"):
        cluster_manifest(options())


def test_no_kubernetes_is_said_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match="Kubernetes cluster cannot be used"), open_cluster(options()):
        pass
