"""What the learner has done, in one ignored file keyed by stable task ids."""
import json
import os
import time

from course import setup
from course.terminal import say

FILE = "progress.json"


def path(root):
    return os.path.join(root, setup.STATE, FILE)


def set_aside(root, why):
    broken = path(root)
    kept = "%s.broken-%s" % (broken, time.strftime("%Y%m%d-%H%M%S"))
    os.replace(broken, kept)
    say("The file with your progress cannot be read (%s). It is kept as %s; progress begins anew, and\n"
        "./course check counts again what you have written." % (why, os.path.relpath(kept, root)))


def load(root):
    """{"tasks": {id: {...}}}. Ids that this version of the course does not know are kept."""
    try:
        with open(path(root), encoding="utf-8") as file:
            value = json.load(file)
    except FileNotFoundError:
        return {"tasks": {}}
    except (OSError, ValueError) as error:
        set_aside(root, error)
        return {"tasks": {}}
    if not isinstance(value, dict) or not isinstance(value.get("tasks"), dict) \
            or not all(isinstance(entry, dict) for entry in value["tasks"].values()):
        set_aside(root, "it is JSON, but not what is written there")
        return {"tasks": {}}
    return value


def save(root, state):
    setup.write_json(path(root), state)


def entry(state, task):
    return state["tasks"].setdefault(task.id, {})


def passed(state, task):
    return task.solved or bool(state["tasks"].get(task.id, {}).get("passed"))


def note_verdict(state, task, verdict):
    """A task that passed once and fails now is not done: the count must mean what it says."""
    mine = entry(state, task)
    if verdict == "passed":
        mine.setdefault("passed", time.strftime("%Y-%m-%d"))
    else:
        mine.pop("passed", None)
        mine["tried"] = mine.get("tried", 0) + (verdict != "not implemented")
