"""Small pictures as SVG that stands in the page, so that it has the page's colours, light or dark."""

from dataclasses import dataclass
from html import escape
from math import hypot

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle by its middle and its size, in pixels."""

    x: float
    y: float
    width: float
    height: float

    def towards(self, point: Point) -> Point:
        """Where a line from the middle to ``point`` leaves the box."""
        dx, dy = point[0] - self.x, point[1] - self.y
        scale = max(abs(dx) / (self.width / 2), abs(dy) / (self.height / 2), 1e-9)
        return self.x + dx / scale, self.y + dy / scale


class Drawing:
    """A picture that grows.

    Args:
        width: in pixels.
        height: in pixels.
        title: what it shows, for who cannot see it.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self._size = width, height
        self._title = title
        self._parts: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, text: str, look: str = "box") -> Box:
        """A box with a word in it, by its middle."""
        self._rectangle(x - width / 2, y - height / 2, width, height, look)
        self.text(x, y + 5, text)
        return Box(x, y, width, height)

    def frame(self, left: float, top: float, width: float, height: float, text: str) -> Box:
        """A dashed frame around others, with its name at the top."""
        self._rectangle(left, top, width, height, "frame")
        self.text(left + 12, top + 20, text, anchor="start", look="quiet")
        return Box(left + width / 2, top + height / 2, width, height)

    def text(self, x: float, y: float, text: str, *, anchor: str = "middle", look: str = "word") -> None:
        """Words; ``anchor`` is start, middle or end."""
        place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
        self._parts.append(f'<text class="{look}" {place}>{escape(text)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, look: str = "line") -> None:
        """A line."""
        self._parts.append(f'<line class="{look}" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>')

    def dot(self, x: float, y: float, radius: float, look: str = "dot") -> None:
        """A filled circle."""
        self._parts.append(f'<circle class="{look}" cx="{x:g}" cy="{y:g}" r="{radius:g}"/>')

    def arrow(self, begin: Box | Point, end: Box | Point, label: str = "", bend: float = 0) -> None:
        """An arrow between two boxes or points; it bulges to its left by ``bend`` pixels."""
        a, b = _middle(begin), _middle(end)
        length = hypot(b[0] - a[0], b[1] - a[1]) or 1.0
        knee = (
            (a[0] + b[0]) / 2 + bend * 2 * (b[1] - a[1]) / length,
            (a[1] + b[1]) / 2 - bend * 2 * (b[0] - a[0]) / length,
        )
        a = begin.towards(knee) if isinstance(begin, Box) else a
        b = end.towards(knee) if isinstance(end, Box) else b
        if not bend:
            knee = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        curve = f"M{a[0]:.1f},{a[1]:.1f} Q{knee[0]:.1f},{knee[1]:.1f} {b[0]:.1f},{b[1]:.1f}"
        self._parts.append(f'<path class="line" d="{curve}" marker-end="url(#tip)"/>')
        if label:
            x, y = ((a[i] + 2 * knee[i] + b[i]) / 4 for i in (0, 1))
            self.text(x, y + 4, label, look="label")

    def svg(self) -> str:
        """The picture; no line of it is empty, so that it may stand in Markdown."""
        width, height = self._size
        head = (
            f'<svg class="drawing" role="img" aria-label="{escape(self._title)}" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" xmlns="http://www.w3.org/2000/svg">'
        )
        tip = (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path class="tip" d="M0,0 L8,4 L0,8 z"/></marker></defs>'
        )
        return "\n".join(["<figure>", head, tip, *self._parts, "</svg>", "</figure>"])

    def _rectangle(self, left: float, top: float, width: float, height: float, look: str) -> None:
        place = f'x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"'
        self._parts.append(f'<rect class="{look}" {place} rx="6"/>')


def _middle(place: Box | Point) -> Point:
    return (place.x, place.y) if isinstance(place, Box) else place
