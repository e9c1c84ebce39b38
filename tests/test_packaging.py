"""What is installed, and what the notebooks' sources may hold."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def project() -> dict[str, list[str]]:
    """pyproject.toml's lists of requirements: "dependencies" and the extras."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    if sys.version_info >= (3, 11):
        import tomllib

        table = tomllib.loads(text)["project"]
        return {
            "dependencies": table["dependencies"],
            **table["optional-dependencies"],
        }
    listed = r"^(dependencies|test|bench) = (\[.*?\])$"
    lists = re.findall(listed, text, re.M | re.S)
    return {name: yaml.safe_load(items) for name, items in lists}


def name_of(requirement: str) -> str:
    """A package's name as the index compares names."""
    return re.sub(r"[-_.]+", "-", Requirement(requirement).name).lower()


def test_conda_environment_equals_the_project():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert environment["name"] == "skfm"
    *conda, pip = environment["dependencies"]
    assert conda == ["python>=3.10", "pip"]
    listed = [line for line in pip["pip"] if not line.startswith("-")]
    assert sorted(listed) == sorted(project()["dependencies"])
    assert [line for line in pip["pip"] if line.startswith("-")] == [
        "-c constraints.txt",
        "-e .",
    ]


def test_constraints_pin_every_direct_dependency():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(x) for x in lines if x and not x.startswith("#")]
    for pin in pins:
        assert [s.operator for s in pin.specifier] == ["=="], pin
        assert pin.url is None, pin
    pinned = {name_of(str(pin)): pin for pin in pins}
    for group in project().values():
        for line in group:
            bounds = Requirement(line).specifier
            version = next(iter(pinned[name_of(line)].specifier)).version
            assert bounds.contains(version, prereleases=True), line


def test_every_file_of_the_library_is_packaged():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (table,) = re.findall(r"package-data]\n(.*?)\n\n", text, re.S)
    wanted = {
        path
        for folder, patterns in re.findall(r'^"(.*?)" = (\[.*\])$', table, re.M)
        for pattern in yaml.safe_load(patterns)
        for path in (ROOT / folder.replace(".", "/")).glob(pattern)
    }
    files = {p for p in (ROOT / "skfm_lib").rglob("*") if p.is_file()}
    others = {p for p in files if p.suffix not in (".py", ".pyc")}
    assert others == wanted and len(others) >= 6


def test_constraints_name_no_build_and_no_place():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "+cpu" not in text and "+cu" not in text
    assert "://" not in text and " @ " not in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_sources_are_clean(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = notebook["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    assert len(cells) <= 34
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    for cell in code:
        source = "".join(cell["source"])
        assert not cell["outputs"] and cell["execution_count"] is None
        assert len(source.splitlines()) <= 15, source
        assert not re.search(r"^\s*(def|class|async) ", source, re.M), source
        for line in source.splitlines():  # wider ones scroll sideways in the book
            assert len(line) <= 74, line


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_parameters_come_first(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    tagged = [c for c in code if "parameters" in c["metadata"].get("tags", [])]
    assert tagged == code[:1]
    names = re.findall(r"^(\w+)\b.*? = ", "".join(code[0]["source"]), re.M)
    assert names[:3] == ["preset", "run", "seed"]
    assert len(names) == len("".join(code[0]["source"]).splitlines())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_leave_it_to_the_library_to_load_torch(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "".join(f"{''.join(c['source'])}\n" for c in cells)
    assert not re.search(r"^\s*(import|from) torch\b", code, re.M)
