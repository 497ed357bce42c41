"""Compares with the programs that others open models with.

    python3 tests/interop/interop.py set-up BUILD            installs them into BUILD/interop, once
    python3 tests/interop/interop.py check NAME BUILD        runs check_NAME.py there

The set-up takes a gigabyte and a minute or two, so that it is done where it is asked for: where CI is set, or
TINYGPT_INTEROP=1. Everywhere else, and where a package registry cannot be reached, the exit code is 77 (skipped), and
the last line says why. A check is a Python program that gets the build folder and exits with 0, or with words that say
what differs.
"""
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77
# Seconds. A registry that does not answer must not hold up a test run.
PIP_LIMIT, NPM_LIMIT, ANSWER_LIMIT = 420, 240, 20
OUT_OF_REACH = re.compile(r"connection broken|Could not fetch URL|NewConnectionError|Temporary failure in name|"
                          r"timed out|ProxyError|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENETUNREACH|"
                          r"EIDLETIMEOUT|ERR_SOCKET_TIMEOUT", re.IGNORECASE)


class Skipped(Exception):
    pass


def skip(why):
    print("skipped: " + why)
    sys.exit(SKIPPED)


def install(what, command, folder, limit):
    """Runs an installer. Out of reach is a reason to skip, whatever else goes wrong an error."""
    print("installing %s" % what, flush=True)
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=limit)
    except subprocess.TimeoutExpired:
        raise Skipped("%s were not installed within %d seconds" % (what, limit)) from None
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode == 0:
        return
    if OUT_OF_REACH.search(output):
        raise Skipped("%s cannot be installed: the package registry is out of reach" % what)
    sys.exit("%s cannot be installed:\n%s" % (what, output[-4000:]))


def install_python(root):
    venv = root / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    install("a virtual environment", [sys.executable, "-m", "venv", str(venv)], root, 120)
    install("Python's packages", [str(venv / "bin/python"), "-m", "pip", "install", "--only-binary", ":all:",
                                  "--disable-pip-version-check", "--no-input", "--retries", "1",
                                  "--timeout", str(ANSWER_LIMIT), "-r", str(HERE / "requirements.txt")],
            root, PIP_LIMIT)


def install_node(root):
    if not (shutil.which("npm") and shutil.which("node")):
        raise Skipped("node and npm are not installed (apt-get install -y nodejs npm)")
    shutil.copy(HERE / "package.json", root / "package.json")
    # Scripts would fetch programs from elsewhere; what the packages hold is all that is needed, and what they call
    # optional is for other machines.
    install("Node's packages", ["npm", "install", "--ignore-scripts", "--omit=optional", "--no-package-lock",
                                "--no-audit", "--no-fund", "--fetch-retries=1",
                                "--fetch-timeout=%d" % (ANSWER_LIMIT * 1000)], root, NPM_LIMIT)


# What is installed, by the file that lists it.
PARTS = {"requirements.txt": install_python, "package.json": install_node}


def fingerprint(name):
    return hashlib.sha256((HERE / name).read_bytes() + sys.version.encode()).hexdigest()


def missing_parts(root):
    stamps = {name: root / (name + ".installed") for name in PARTS}
    return [name for name, stamp in stamps.items() if not stamp.exists() or stamp.read_text() != fingerprint(name)]


def set_up(root):
    """Installs what is missing. Whoever comes second waits for the first."""
    root.mkdir(parents=True, exist_ok=True)
    reason = root / "skipped"
    with open(root / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in missing_parts(root):
            try:
                PARTS[name](root)
            except Skipped as why:
                reason.write_text(str(why))
                skip(str(why))
            (root / (name + ".installed")).write_text(fingerprint(name))
        reason.unlink(missing_ok=True)


def check(name, build):
    root = build / "interop"
    reason = root / "skipped"
    if reason.exists():  # the set-up has tried, a moment ago
        skip(reason.read_text())
    set_up(root)
    environment = dict(os.environ, PYTHONPATH=str(HERE), HF_HUB_OFFLINE="1", PYTHONDONTWRITEBYTECODE="1",
                       TOKENIZERS_PARALLELISM="false", OMP_WAIT_POLICY="passive")
    command = [str(root / "venv/bin/python"), str(HERE / ("check_%s.py" % name)), str(build)]
    sys.exit(subprocess.run(command, env=environment).returncode)


def main(words):
    if len(words) < 2 or (words[0] == "check") != (len(words) == 3):
        sys.exit(__doc__)
    if not os.environ.get("CI") and os.environ.get("TINYGPT_INTEROP") != "1":
        skip("set TINYGPT_INTEROP=1 to install the peers (about a gigabyte) and to compare with them")
    build = pathlib.Path(words[-1]).resolve()
    if words[0] == "check":
        check(words[1], build)
    set_up(build / "interop")


if __name__ == "__main__":
    main(sys.argv[1:])
