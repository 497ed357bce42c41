"""What is known of the GPU, its driver and its toolkit, without a library."""
import os
import re
import shutil
import subprocess
from collections import namedtuple

Gpu = namedtuple("Gpu", "name driver capability memory_mib")


def output_of(words, limit=60):
    """What a program prints, or nothing where it cannot run or fails."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True,
                              timeout=limit)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def parse_gpu(line):
    """One line of nvidia-smi's answer, or None where it is something else."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 4 or not re.match(r"\d+\.\d+$", parts[2]):
        return None
    memory = re.match(r"\d+", parts[3])
    return Gpu(parts[0], parts[1], parts[2], int(memory.group()) if memory else 0)


def find_gpu():
    """The first GPU that the driver knows, or None."""
    words = ["nvidia-smi", "--query-gpu=name,driver_version,compute_cap,memory.total", "--format=csv,noheader"]
    lines = output_of(words).splitlines()
    return parse_gpu(lines[0]) if lines else None


def toolkit_version():
    found = re.search(r"release [\d.]+, V([\d.]+)", output_of(["nvcc", "--version"]))
    return found.group(1) if found else "none"


def find_sanitizer():
    for path in (shutil.which("compute-sanitizer"), "/usr/local/cuda/bin/compute-sanitizer",
                 "/usr/local/cuda/compute-sanitizer/compute-sanitizer"):
        if path and os.access(path, os.X_OK):
            return path
    return None


def find_torch(root):
    """(an interpreter whose PyTorch sees the GPU, its version), or (None, why there is none)."""
    question = "import torch; assert torch.cuda.is_available(), 'no GPU'; print(torch.__version__)"
    for python in (os.path.join(root, "bench", ".venv", "bin", "python"), shutil.which("python3")):
        if python and os.access(python, os.X_OK):
            version = output_of([python, "-c", question]).strip()
            if version:
                return python, version
    return None, "no Python here has a PyTorch that sees the GPU"


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return "unknown processor"
