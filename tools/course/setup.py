"""Makes the machine ready: finds what is missing, installs it, and remembers the result so as not to look again."""
import hashlib
import json
import os
import shutil
import subprocess
import sys

from course import packages
from course.terminal import Failure, paint, run_logged, read_end, say

STATE = ".course"


def fingerprint(root):
    """Changes when something that the survey depends on does: a tool, a variable, the folder, or the survey itself."""
    parts = [root, sys.version]
    parts += [os.environ.get(name, "") for name in ("PATH", "CXX", "CMAKE_PREFIX_PATH", "CONDA_PREFIX")]
    for name in ("cmake", "c++", "g++", "clang++", "ninja", "make"):
        path = shutil.which(name)
        parts.append("%s %s" % (path, os.stat(path).st_mtime_ns if path else ""))
    with open(packages.__file__, encoding="utf-8") as source:
        parts.append(source.read())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def stamp_path(root):
    return os.path.join(root, STATE, "setup.json")


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
        return value if isinstance(value, dict) else {}
    except (OSError, ValueError):
        return {}


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
    os.replace(path + ".new", path)


def forget(root):
    """Makes the next run look again: what was found may be gone."""
    if os.path.exists(stamp_path(root)):
        os.remove(stamp_path(root))


def as_root():
    """The words that run a command as root: none, sudo, or None where there is no way."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    if sys.stdin.isatty() and sys.stdout.isatty():
        say("sudo may ask for your password.")
        return ["sudo", "-n"] if subprocess.call(["sudo", "-v"]) == 0 else None
    quiet = subprocess.call(["sudo", "-n", "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return ["sudo", "-n"] if quiet == 0 else None


def explain_by_hand(missing):
    lines = ["Install what is missing, then run this again:"]
    for manager in packages.MANAGERS:
        lines.append("  %-7s %s" % (manager + ":", packages.install_line(missing, manager)))
    needed = packages.needed(missing)
    if needed == packages.fetchable(needed):
        lines.append("Or let the build download their sources: add --fetch to the same command.")
    return "\n".join(lines)


def apt_knows(names):
    """Whether apt's lists hold every package; an image often ships without lists."""
    text = packages.output_of(["apt-cache", "policy"] + names) or ""
    return text.count("Candidate:") - text.count("Candidate: (none)") == len(names)


def install_commands(manager, names, root_words):
    """The commands that install the packages, each a title and words."""
    if manager == "brew":
        return [("Installing packages", ["brew", "install"] + names)]
    if manager == "dnf":
        return [("Installing packages", root_words + ["dnf", "install", "-y"] + names)]
    if manager == "pacman":
        return [("Installing packages", root_words + ["pacman", "-S", "--needed", "--noconfirm"] + names)]
    apt = root_words + ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"]
    commands = [("Installing packages", apt + ["install", "-y", "--no-install-recommends"] + names)]
    if not apt_knows(names):
        commands.insert(0, ("Refreshing the package lists", apt + ["update"]))
    return commands


def install(root, missing):
    """Installs what is missing with the system's package manager, or says why it cannot and what to type instead."""
    manager = packages.present_manager()
    root_words = [] if manager == "brew" else as_root() if manager else None
    if manager is None or root_words is None:
        reason = "no package manager that I know" if manager is None else "not root, and no sudo without a password"
        raise Failure("I cannot install packages here (%s).\n%s" % (reason, explain_by_hand(missing)))
    names = packages.package_names(missing, manager)
    say("Installing with %s: %s" % (packages.PROGRAMS[manager], " ".join(names)))
    log = os.path.join(root, STATE, "logs", "install.log")
    commands = install_commands(manager, names, root_words)
    for title, command in commands:
        code, _ = run_logged(title, command, log, root)
        if code != 0 and manager == "apt" and title == "Installing packages" and len(commands) == 1:
            # Lists that are older than the archive name packages that it no longer holds.
            refresh = command[:command.index("install")] + ["update"]
            run_logged("Refreshing the package lists", refresh, log, root)
            code, _ = run_logged(title, command, log, root)
        if code != 0:
            say("\n".join(read_end(log).splitlines()[-15:]))
            raise Failure("%s failed. The full log: %s\n%s" % (title, log, explain_by_hand(missing)))


def refuse_old_tools(found):
    """A tool that is present and too old is for the learner to replace: installing its package changes nothing."""
    if not found.compiler and found.old_compiler:
        old = found.old_compiler
        raise Failure("%s is %s %d; the project needs g++ %d or clang %d. Install a newer one (g++-12, clang-15) "
                      "and name it: CXX=g++-12 ./course ..." % (old.path, old.family, old.version,
                                                               packages.MINIMUM_GCC, packages.MINIMUM_CLANG))
    if found.cmake and found.cmake_version < packages.MINIMUM_CMAKE:
        raise Failure("%s is %d.%d; the project needs %d.%d. A newer one: python3 -m pip install --user cmake"
                      % ((found.cmake,) + found.cmake_version + packages.MINIMUM_CMAKE))


def blocking(missing, fetch):
    """The missing things without which the build cannot go on."""
    needed = packages.needed(missing)
    return [key for key in needed if not (fetch and key in packages.fetchable(needed))]


def make_ready(root, fetch=False):
    """Checks the machine and installs what is missing. Returns the compiler's path and whether ninja is there."""
    mark = fingerprint(root)
    known = read_json(stamp_path(root))
    if known.get("fingerprint") == mark:
        return known["compiler"], known["ninja"]
    found = packages.survey()
    refuse_old_tools(found)
    if blocking(found.missing, fetch):
        say(paint("This machine lacks some of what the project needs:", "bold"))
        for need in packages.REQUIREMENTS:
            if need.key in found.missing:
                say("  %-14s %s" % (need.key, need.why))
        install(root, found.missing)
        found = packages.survey()
        still = blocking(found.missing, fetch)
        if still:
            raise Failure("Still missing after the installation: %s.\n%s"
                          % (", ".join(still), explain_by_hand(still)))
    ninja = "ninja" not in found.missing
    if not packages.needed(found.missing):  # what --fetch lets pass is looked at anew each time
        write_json(stamp_path(root),
                   {"fingerprint": fingerprint(root), "compiler": found.compiler.path, "ninja": ninja})
    return found.compiler.path, ninja
