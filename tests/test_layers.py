"""A module imports only from its own layer or the ones above it in the table, and never in a circle."""

import ast
import graphlib
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "isolux"
LAYERS = {
    0: "types errors status",
    1: "crowd sky noise stamp undersampling batch parameters ties parameter_map geometry result",
    2: "solve profiles psf core psf_model",
    3: "radial renderer scene loss priors likelihood derived",
    4: "apertures growth moments source guess start fate correlated posterior bootstrap information uncertainty "
    "spikes retry footprint fit isolate isophotes field simulate nets bands nonparametric mock",
    5: "options task workers measure measure_field testing io export",
    6: "survey report demo",
    7: "__init__ __main__ cli",
}
LAYER = {name: number for number, names in LAYERS.items() for name in names.split()}
FILE_FORMATS = ("astropy.io.", "pyarrow.", "h5py.")
MAY_READ_FILES = {"io", "report"}
TORCH_ONLY = {"types", "errors", "status", "batch", "parameters", "geometry", "solve", "profiles", "psf"}
TORCH_ONLY |= {
    "noise",
    "stamp",
    "undersampling",
    "ties",
    "parameter_map",
    "core",
    "radial",
    "renderer",
    "scene",
    "loss",
    "likelihood",
    "derived",
}
TORCH_ONLY |= {"priors", "information", "spikes", "psf_model", "bands", "nonparametric", "isophotes"}
TORCH_ONLY |= {
    "apertures",
    "growth",
    "moments",
    "source",
    "guess",
    "start",
    "fate",
    "correlated",
    "posterior",
    "bootstrap",
    "uncertainty",
    "retry",
    "footprint",
    "fit",
    "nets",
}
FILES = {".".join(p.relative_to(SOURCE).with_suffix("").parts): p for p in sorted(SOURCE.rglob("*.py"))}


def top(module: str) -> str:
    """Return the layer table's name of a module: 'solve' for 'solve.status'."""
    return module.split(".")[0]


def outside_functions(node: ast.AST):
    """Yield what runs when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from outside_functions(child)


def imports(module: str, everywhere: bool = True) -> set[str]:
    """Return the full dotted names that a module imports, also those inside functions unless told not to."""
    tree = ast.parse(FILES[module].read_text())
    names = set()
    for node in ast.walk(tree) if everywhere else outside_functions(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ["isolux", *module.split(".")][: -node.level] if node.level else []
            base = ".".join([*package, *filter(None, [node.module])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def own_file(name: str) -> str | None:
    """Return the file of the package that an imported name leads to; None for other packages."""
    parts = name.split(".")
    if parts[0] != "isolux":
        return None
    ways = (parts[1:n] + tail for n in range(len(parts), 0, -1) for tail in ([], ["__init__"]))
    return next((m for m in map(".".join, ways) if m in FILES), None)


def imported_files(module: str) -> set[str]:
    """Return the files of the package that a module imports."""
    return {file for file in map(own_file, imports(module)) if file}


@pytest.mark.parametrize("module", FILES)
def test_module_keeps_to_its_layer(module):
    assert top(module) in LAYER, f"give {top(module)} a layer in the table of this file"
    further_down = {file for file in imported_files(module) if LAYER[top(file)] > LAYER[top(module)]}
    assert not further_down, f"isolux.{module} is in layer {LAYER[top(module)]}"


@pytest.mark.parametrize("module", [module for module in FILES if top(module) in {"solve", "profiles"}])
def test_solvers_and_profiles_do_not_know_each_other(module):
    stranger = {"solve": "profiles", "profiles": "solve"}[top(module)]
    assert stranger not in {top(file) for file in imported_files(module)}


def test_there_is_no_circle():
    graph = {module: imported_files(module) for module in FILES}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail("modules import each other in a circle: " + " <- ".join(error.args[1]))


@pytest.mark.parametrize("module", FILES)
def test_file_formats_stay_in_io(module):
    formats = {name for name in imports(module) if f"{name}.".startswith(FILE_FORMATS)}
    assert not formats or top(module) in MAY_READ_FILES


@pytest.mark.parametrize("module", [module for module in FILES if top(module) in TORCH_ONLY])
def test_numerics_need_only_torch_and_numpy(module):
    packages = {top(name) for name in imports(module, everywhere=False)}
    assert packages <= {"torch", "numpy", "isolux", *sys.stdlib_module_names}
