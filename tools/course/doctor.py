"""`./course doctor`: what this machine is, what is missing, and what to do about each thing."""
import os
import platform
import re
import shutil
import sys

from course import build, packages
from course.terminal import heading, paint, say

DISK_NEEDED = 3 * 2**30  # bytes: builds of two presets, corpora and a few models
MEMORY_NEEDED = 2 * 2**30


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def row(mark, name, text, advice=""):
    """mark: good, warn (something optional) or bad (something needed)."""
    word = {"good": "ok", "warn": "note", "bad": "MISSING"}[mark]
    say("  %s  %-14s %s" % (paint("%-7s" % word, mark), name, text + (" -> " + advice if advice else "")))
    return mark != "bad"


def system_name():
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)', read_text("/etc/os-release"), re.MULTILINE)
    name = match.group(1) if match else "%s %s" % (platform.system(), platform.release())
    if sys.platform == "darwin":
        name = "macOS " + platform.mac_ver()[0]
    return "%s, %s" % (name, platform.machine())


def in_wsl():
    return "microsoft" in read_text("/proc/version").lower()


def instruction_sets():
    """The vector instructions that matter to the kernels, as the processor lists them."""
    flags = set(re.findall(r"[a-z0-9_]+", " ".join(re.findall(
        r"^(?:flags|Features)\s*:(.*)$", read_text("/proc/cpuinfo"), re.MULTILINE)).lower()))
    if sys.platform == "darwin":
        names = packages.output_of(["sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features"]) or ""
        flags |= set(names.lower().split())
        flags |= {"asimd"} if platform.machine() == "arm64" else set()
    known = (("fma", "FMA"), ("avx2", "AVX2"), ("avx512f", "AVX-512"), ("avx512_vnni", "AVX-512 VNNI"),
             ("avx_vnni", "AVX-VNNI"), ("amx_tile", "AMX"), ("asimd", "NEON"), ("asimddp", "dot product"),
             ("sve", "SVE"))
    return [name for flag, name in known if flag in flags]


def check_machine(root):
    good = row("good", "system", system_name() + (" (WSL)" if in_wsl() else ""))
    cores, memory = build.available_cores(), build.memory_bytes()
    good &= row("good", "cores", str(cores))
    enough = memory >= MEMORY_NEEDED
    good &= row("good" if enough else "warn", "memory", "%.1f GB" % (memory / 1e9),
                "" if enough else "builds may run out of memory; close other programs")
    sets = instruction_sets()
    row("good" if sets else "warn", "instructions", ", ".join(sets) or "no vector set recognised",
        "" if sets else "training will work, slowly")
    free = shutil.disk_usage(root).free
    enough = free >= DISK_NEEDED
    row("good" if enough else "warn", "disk", "%.1f GB free" % (free / 1e9),
        "" if enough else "free some space: builds and models take about 3 GB")
    if in_wsl() and root.startswith("/mnt/"):
        row("warn", "WSL folder", root, "builds are several times faster under your Linux home folder")
    return good


def check_tools(found, advice):
    if found.compiler:
        family = {"gcc": "GCC", "clang": "Clang", "apple-clang": "Apple Clang"}[found.compiler.family]
        good = row("good", "compiler", "%s %d (%s)" % (family, found.compiler.version, found.compiler.path))
    elif found.old_compiler:
        good = row("bad", "compiler", "%s %d is too old" % (found.old_compiler.family, found.old_compiler.version),
                   "install g++ %d or clang %d, and name it in CXX" % (packages.MINIMUM_GCC, packages.MINIMUM_CLANG))
    else:
        good = row("bad", "compiler", "none", advice("compiler"))
    if "cmake" not in found.missing:
        good &= row("good", "cmake", "%d.%d" % found.cmake_version)
    elif found.cmake:
        good &= row("bad", "cmake", "%d.%d is too old" % found.cmake_version, "python3 -m pip install --user cmake")
    else:
        good &= row("bad", "cmake", "none", advice("cmake"))
    for need in packages.REQUIREMENTS:
        if need.key in ("compiler", "cmake") or (need.key == "make" and "ninja" not in found.missing):
            continue
        absent = need.key in found.missing
        mark = "good" if not absent else "bad" if need.needed else "warn"
        good &= row(mark, need.key, need.why if absent else "present", advice(need.key) if absent else "")
    return good


def newest_nvcc():
    """nvcc on the path or in the toolkit's usual places."""
    for path in (shutil.which("nvcc"), os.path.join(os.environ.get("CUDA_HOME", ""), "bin/nvcc"),
                 "/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc"):
        if path and os.access(path, os.X_OK):
            return path
    return None


def check_cuda():
    """CUDA is optional throughout: every line here is a note at worst."""
    nvcc = newest_nvcc()
    release = re.search(r"release ([\d.]+)", packages.output_of([nvcc, "--version"]) or "") if nvcc else None
    if release:
        row("good", "CUDA toolkit", "%s (%s)" % (release.group(1), nvcc))
    else:
        row("warn", "CUDA toolkit", "no nvcc", "needed only for a GPU: https://developer.nvidia.com/cuda-downloads")
    smi = shutil.which("nvidia-smi") or ("/usr/lib/wsl/lib/nvidia-smi" if in_wsl() else None)
    text = packages.output_of([smi, "--query-gpu=name,compute_cap,driver_version,memory.total",
                               "--format=csv,noheader"]) if smi else None
    if not text or not text.strip():
        advice = "with a GPU in this machine, install %s" % (
            "the NVIDIA driver on Windows, not inside WSL" if in_wsl() else "NVIDIA's driver")
        row("warn", "GPU", "no NVIDIA driver answers", advice)
        return
    for line in text.strip().splitlines():
        name, capability, driver, memory = [part.strip() for part in (line.split(",") + ["?"] * 4)[:4]]
        row("good", "GPU", "%s, %s, sm_%s, driver %s" % (name, memory, capability.replace(".", ""), driver))


def doctor(root):
    found = packages.survey()
    manager = packages.present_manager() or "apt"

    def advice(key):
        return packages.install_line([key], manager)

    heading("This machine")
    good = check_machine(root)
    heading("Tools and libraries")
    good &= check_tools(found, advice)
    heading("GPU (optional)")
    check_cuda()
    if good:
        say("\n" + paint("Everything that is needed is here.", "good") + " Next: ./course demo")
        return 0
    needed = packages.needed(found.missing)
    say("\n" + paint("Some things that are needed are missing.", "bad"))
    say("`./course demo` and `./course test` install them, or type:\n  " + packages.install_line(needed, manager))
    return 2
