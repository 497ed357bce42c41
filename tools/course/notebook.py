"""`./course notebook NN`: the Python module, JupyterLab in a virtual environment, and a lesson's notebook in it."""
import hashlib
import os
import sys

from course import build, packages, setup
from course.terminal import Failure, must_run, paint, run_visible, say

FOLDER = "notebooks"
VENV = ".venv"
MINIMUM_PYTHON = (3, 10)


def python_of(venv):
    return os.path.join(venv, "bin", "python")


def module_folder(plan):
    return os.path.join(plan.folder, "python")


def environment(plan):
    """What a notebook runs in: our module before any other of that name."""
    path = module_folder(plan) + os.pathsep + os.environ.get("PYTHONPATH", "")
    return dict(os.environ, PYTHONPATH=path.rstrip(os.pathsep))


def wanted(root, without=()):
    """The lines of requirements.txt, but those of these packages."""
    with open(os.path.join(root, FOLDER, "requirements.txt"), encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith(("#",) + tuple(without))]


def install(root, venv, lines):
    """Makes the virtual environment hold these packages, and nothing where it does already."""
    stamp = os.path.join(venv, "course.json")
    mark = hashlib.sha256("\n".join([sys.version] + lines).encode()).hexdigest()
    if setup.read_json(stamp).get("installed") == mark and os.path.exists(python_of(venv)):
        return
    if sys.version_info < MINIMUM_PYTHON:
        raise Failure("Notebooks need Python %d.%d or later; this is %s."
                      % (MINIMUM_PYTHON + (sys.version.split()[0],)))
    log = os.path.join(root, setup.STATE, "logs", "notebooks.log")
    name = os.path.relpath(venv, root)
    try:
        must_run("Making %s" % name, [sys.executable, "-m", "venv", "--clear", venv], log, root)
        must_run("Installing into %s" % name,
                 [python_of(venv), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"] + lines, log, root)
    except Failure as failure:
        raise Failure("%s\nOn Debian and Ubuntu a virtual environment needs: sudo apt-get install python3-venv"
                      % failure)
    setup.write_json(stamp, {"installed": mark})


def find(root, wanted):
    """A notebook's path from its number or its lesson's name: 8, 08, multi-head, 08-multi-head."""
    there = sorted(name[:-6] for name in os.listdir(os.path.join(root, FOLDER)) if name.endswith(".ipynb"))
    number = wanted.zfill(2) if wanted.isdigit() else wanted
    for name in there:
        if number in (name[:2], name[3:], name):
            return os.path.join(root, FOLDER, name + ".ipynb")
    raise Failure("There is no notebook of '%s'. There are: %s" % (wanted, ", ".join(there)))


def build_module(plan, times):
    """Builds the module, or says which package it wants."""
    if build.cached_value(plan.folder, "TINYGPT_PYTHON_MODULE_ON") == "OFF":
        build.clear_cache(plan.folder)  # what was missing may be there now
    try:
        build.prepare(plan, ("tinygpt_python",), times)
    except Failure:
        if build.cached_value(plan.folder, "TINYGPT_PYTHON_MODULE_ON") != "OFF":
            raise
        manager = packages.present_manager() or "apt"
        names = {"apt": "python3-dev pybind11-dev", "dnf": "python3-devel pybind11-devel", "pacman": "python pybind11",
                 "brew": "python pybind11"}[manager]
        raise Failure("The Python module cannot be built here: Python's headers or pybind11 are missing.\n  %s"
                      % (packages.INSTALL_LINES[manager] % names))


def notebook(root, number, fetch, times):
    path = find(root, number)
    plan = build.make_plan(root, "default", fetch)
    build_module(plan, times)
    venv = os.path.join(root, VENV)
    install(root, venv, wanted(root))
    say(paint("Opening %s; Ctrl-C here ends it." % os.path.relpath(path, root), "dim"))
    # Without the question that Jupyter asks after the first Ctrl-C, and without its talk: the address remains.
    command = [python_of(venv), "-m", "jupyterlab", path]
    command += ["--ServerApp.answer_yes=True", "--Application.log_level=ERROR"]
    if os.geteuid() == 0:
        command.append("--allow-root")  # in a container there is often nobody else
    code, interrupted = run_visible(command, root, environment(plan))
    return 0 if interrupted else code
