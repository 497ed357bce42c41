"""What lies on top of what in a figure: words that leave the page, and words on words."""
import xml.etree.ElementTree as ElementTree
from collections import namedtuple

from drawing import width_of

Words = namedtuple("Words", "left top right bottom text")
SLACK = 0.88  # width_of says rather too much; what overlaps at this share of it does so in every font
TOLERANCE = 2  # pixels


def words_of(root):
    """Every text of the figure with about the box that it fills. Turned ones are left out."""
    for element in root.iter("{http://www.w3.org/2000/svg}text"):
        text = "".join(element.itertext())
        if element.get("transform") or not text.strip():
            continue
        size = float(element.get("font-size", 13))
        width = SLACK * width_of(text, size, " m" in (element.get("class") or "") + " ")
        x, y = float(element.get("x")), float(element.get("y"))
        left = {"start": x, "middle": x - width / 2, "end": x - width}[element.get("text-anchor", "start")]
        yield Words(left, y - 0.72 * size, left + width, y + 0.1 * size, text)


def overlap(a, b):
    return (min(a.right, b.right) - max(a.left, b.left) > TOLERANCE
            and min(a.bottom, b.bottom) - max(a.top, b.top) > TOLERANCE)


def problems(svg):
    """One sentence for each."""
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        return ["is no XML: %s" % error]
    _, _, width, height = [float(value) for value in root.get("viewBox").split()]
    found = ["is %d pixels wide; a page has room for 700" % width] if width > 700 else []
    words = list(words_of(root))
    for i, one in enumerate(words):
        if one.left < -TOLERANCE or one.top < -TOLERANCE or one.right > width + TOLERANCE \
                or one.bottom > height + TOLERANCE:
            found.append("'%s' leaves the page" % one.text)
        found += ["'%s' lies on '%s'" % (one.text, other.text) for other in words[i + 1:] if overlap(one, other)]
    if "prefers-color-scheme" not in svg:
        found.append("has no colours for dark pages")
    return found
