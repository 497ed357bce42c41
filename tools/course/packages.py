"""What the project needs from the system, how each thing is called by four package managers, and how it is found."""
import os
import re
import shutil
import subprocess
import sysconfig
from collections import namedtuple

MANAGERS = ("apt", "dnf", "pacman", "brew")
PROGRAMS = {"apt": "apt-get", "dnf": "dnf", "pacman": "pacman", "brew": "brew"}
INSTALL_LINES = {
    "apt": "sudo apt-get install -y %s",
    "dnf": "sudo dnf install -y %s",
    "pacman": "sudo pacman -S --needed %s",
    "brew": "brew install %s",
}
MINIMUM_GCC = 11
MINIMUM_CLANG = 15  # 14 lacks std::source_location
MINIMUM_CMAKE = (3, 22)

# needed: the build stops without it. Other things are installed along when something needed is missing.
# header: how a library is recognised by the compiler.
Requirement = namedtuple("Requirement", "key why needed header apt dnf pacman brew")
REQUIREMENTS = (
    Requirement("compiler", "compiles the project (g++ 11 or clang 15, C++20)", True, None,
                "g++", "gcc-c++", "gcc", "gcc"),
    Requirement("cmake", "configures the build (3.22 or later)", True, None, "cmake", "cmake", "cmake", "cmake"),
    Requirement("ninja", "builds faster than make", False, None, "ninja-build", "ninja-build", "ninja", "ninja"),
    Requirement("make", "builds where ninja is absent", True, None, "make", "make", "make", "make"),
    Requirement("git", "shows what you have changed", False, None, "git", "git", "git", "git"),
    Requirement("openmp", "runs kernels on every core", True, "omp.h",
                "libomp-dev", "libomp-devel", "openmp", "libomp"),
    Requirement("eigen", "checks kernels in double precision", True, "Eigen/Core",
                "libeigen3-dev", "eigen3-devel", "eigen", "eigen"),
    Requirement("catch2", "runs the tests", True, "catch2/", "catch2", "catch-devel", "catch2", "catch2"),
    Requirement("cli11", "reads command lines", True, "CLI/CLI.hpp",
                "libcli11-dev", "cli11-devel", "cli11", "cli11"),
    Requirement("json", "reads and writes JSON", True, "nlohmann/json.hpp",
                "nlohmann-json3-dev", "json-devel", "nlohmann-json", "nlohmann-json"),
    Requirement("fmt", "formats text", True, "fmt/core.h", "libfmt-dev", "fmt-devel", "fmt", "fmt"),
    Requirement("utf8proc", "knows Unicode's character classes", True, "utf8proc.h",
                "libutf8proc-dev", "utf8proc-devel", "libutf8proc", "utf8proc"),
    Requirement("boost-context", "runs CUDA threads on the CPU", False, "boost/context/fiber.hpp",
                "libboost-context-dev", "boost-devel", "boost", "boost"),
    Requirement("python-headers", "lets Python and the notebooks use the library", False, "Python.h",
                "python3-dev", "python3-devel", "python", "python"),
    Requirement("pybind11", "the same", False, "pybind11/pybind11.h",
                "pybind11-dev", "pybind11-devel", "pybind11", "pybind11"),
)
# What no build can fetch for itself.
NEVER_FETCHED = ("openmp", "python-headers", "pybind11")

Compiler = namedtuple("Compiler", "path family version")  # family: gcc, clang or apple-clang
# What stands on this machine: a compiler that will do or None, the newest that is too old or None, CMake's path and
# version or None, and the keys of the requirements that are missing.
Survey = namedtuple("Survey", "compiler old_compiler cmake cmake_version missing")


def output_of(command, text=None):
    """A command's standard output, or None where it fails or does not exist."""
    try:
        done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              universal_newlines=True, timeout=60, env=dict(os.environ, LC_ALL="C"))
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def identify_compiler(path):
    """The compiler's family and major version, as its own predefined macros tell them."""
    macros = output_of([path, "-dM", "-E", "-x", "c++", "-"], "")
    if macros is None:
        return None
    defined = dict(re.findall(r"#define (__clang_major__|__apple_build_version__|__GNUC__) (\d+)", macros))
    if "__clang_major__" in defined:
        family = "apple-clang" if "__apple_build_version__" in defined else "clang"
        return Compiler(path, family, int(defined["__clang_major__"]))
    return Compiler(path, "gcc", int(defined["__GNUC__"])) if "__GNUC__" in defined else None


def good_enough(compiler):
    return compiler.version >= (MINIMUM_GCC if compiler.family == "gcc" else MINIMUM_CLANG)


def find_compiler():
    """The first compiler that will do, and the newest that will not. CXX, where it is set, is the only candidate."""
    chosen = os.environ.get("CXX", "").split()[:1]
    names = chosen or ["c++", "g++", "clang++"]
    if not chosen:
        names += ["g++-%d" % n for n in range(20, MINIMUM_GCC - 1, -1)]
        names += ["clang++-%d" % n for n in range(30, MINIMUM_CLANG - 1, -1)]
    too_old = None
    for name in names:
        path = shutil.which(name)
        compiler = identify_compiler(path) if path else None
        if compiler and good_enough(compiler):
            return compiler, None
        if compiler and (too_old is None or compiler.version > too_old.version):
            too_old = compiler
    return None, too_old


def find_cmake():
    path = shutil.which("cmake")
    text = output_of([path, "--version"]) if path else None
    match = re.search(r"version (\d+)\.(\d+)", text or "")
    return (path, tuple(int(part) for part in match.groups())) if match else (None, None)


def include_folders():
    """Folders with headers that CMake searches and a compiler does not."""
    roots = re.split("[:;]", os.environ.get("CMAKE_PREFIX_PATH", ""))
    if shutil.which("brew"):
        roots += ["/opt/homebrew", "/opt/homebrew/opt/libomp", "/usr/local/opt/libomp"]
    roots += [os.environ.get("CONDA_PREFIX", ""), "/usr", "/usr/local"]
    folders = [os.path.join(root, "include") for root in roots if root] + [sysconfig.get_paths()["include"]]
    folders += [os.path.join(folder, "eigen3") for folder in folders]
    return [folder for folder in folders if os.path.isdir(folder)]


def missing_headers(compiler):
    """The keys of libraries whose headers the compiler cannot find, by one run of its preprocessor."""
    lines = []
    for need in REQUIREMENTS:
        if not need.header:
            continue
        # Catch2 version 3 split version 2's one header.
        names = ["catch2/catch.hpp", "catch2/catch_all.hpp"] if need.key == "catch2" else [need.header]
        found = " || ".join("__has_include(<%s>)" % name for name in names)
        lines += ["#if !(%s)" % found, "missing:" + need.key, "#endif"]
    command = [compiler.path, "-x", "c++", "-std=c++20", "-fopenmp", "-E", "-P"]
    if compiler.family == "apple-clang":
        command.remove("-fopenmp")  # Apple's compiler rejects it, and finds Homebrew's omp.h without
    for folder in include_folders():
        command += ["-idirafter", folder]
    text = output_of(command + ["-"], "\n".join(lines) + "\n")
    if text is None:  # a compiler that cannot even preprocess is no compiler
        return ["compiler"]
    return re.findall(r"missing:([\w-]+)", text)


def survey():
    compiler, old_compiler = find_compiler()
    cmake, cmake_version = find_cmake()
    missing = []
    if not compiler:
        missing.append("compiler")
    if not cmake or cmake_version < MINIMUM_CMAKE:
        missing.append("cmake")
    if not shutil.which("ninja"):
        missing.append("ninja")
        if not shutil.which("make"):
            missing.append("make")
    if not shutil.which("git"):
        missing.append("git")
    if compiler:
        missing += missing_headers(compiler)
    else:
        missing += [need.key for need in REQUIREMENTS if need.header and need.key not in NEVER_FETCHED]
    return Survey(compiler, old_compiler, cmake, cmake_version, missing)


def needed(keys):
    """Those of the keys without which nothing builds."""
    return [need.key for need in REQUIREMENTS if need.needed and need.key in keys]


def fetchable(keys):
    """Those of the keys whose sources the build can download and compile by itself."""
    return [need.key for need in REQUIREMENTS if need.header and need.key not in NEVER_FETCHED and need.key in keys]


def package_names(keys, manager):
    """What the manager calls these requirements, without repetition."""
    names = []
    for need in REQUIREMENTS:
        name = getattr(need, manager)
        if need.key in keys and name not in names:
            names.append(name)
    return names


def install_line(keys, manager):
    return INSTALL_LINES[manager] % " ".join(package_names(keys, manager))


def present_manager():
    for manager in MANAGERS:
        if shutil.which(PROGRAMS[manager]):
            return manager
    return None
