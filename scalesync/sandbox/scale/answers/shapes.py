"""Geometry and text for synthetic answers. Source: Scale docs (callbacks); replies recorded in 2019."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scalesync.sandbox.scale.answers.draws import Draws

WORDS = (
    "a",
    "small",
    "brown",
    "dog",
    "waits",
    "near",
    "the",
    "open",
    "gate",
    "while",
    "rain",
    "falls",
    "on",
    "the",
    "quiet",
    "street",
)
CORNERS = {  # with the corners in a test task's answer, pixels
    "face-topleft": (100, 70),
    "face-bottomleft": (100, 296),
    "face-topright": (320, 70),
    "face-bottomright": (320, 296),
    "side-topcorner": (441, 82),
    "side-bottomcorner": (441, 198),
}
TRIANGLE = ((10, 10), (110, 110), (10, 110))
COLORS = ("#ff0000", "#ffff00", "#00ff00", "#00ffff", "#0000ff", "#ff00ff")
SIDE = 640  # assumed width and height of an image, pixels


class Maker:
    """Values for one answer: canned for test tasks, drawn for live ones."""

    def __init__(self, draws: Draws, canned: bool, link: Callable[[int], str]) -> None:
        self.draws = draws
        self.canned = canned
        self.link = link

    def text(self) -> str:
        """Some words."""
        if self.canned:
            return "test response"
        return " ".join(self.draws.one(WORDS) for _ in range(self.draws.between(2, 8)))

    def fields(self, wanted: Any) -> dict[str, Any]:
        """A value for each field of a form, given as a mapping or a list of objects."""
        if isinstance(wanted, dict):
            return {name: self.text() for name in wanted}
        if isinstance(wanted, list):
            names = [f.get("field_id", f.get("name", n)) if isinstance(f, dict) else f for n, f in enumerate(wanted)]
            return {str(name): self.text() for name in names}
        return {}

    def labels(self, params: dict[str, Any]) -> list[str]:
        """The names to choose from: objects_to_annotate or labels, as strings or objects."""
        listed = params.get("objects_to_annotate") or params.get("labels") or params.get("instance_labels")
        found = []
        for item in listed if isinstance(listed, list) else ():
            name = item.get("choice", item.get("name", item.get("label"))) if isinstance(item, dict) else item
            found.append(str(name))
        return found or ["object"]

    def each(self, params: dict[str, Any], shape: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
        """One to three labelled shapes (one in canned answers)."""
        labels = self.labels(params)
        number = 1 if self.canned else self.draws.between(1, 3)
        return [{**shape(), "label": self.draws.one(labels)} for _ in range(number)]

    def box(self) -> dict[str, Any]:
        """Left, top, width, height in pixels."""
        if self.canned:
            return {"left": 0, "top": 0, "width": 100, "height": 100}
        left, top = self.draws.below(SIDE // 2), self.draws.below(SIDE // 2)
        width, height = self.draws.between(10, SIDE // 2), self.draws.between(10, SIDE // 2)
        return {"left": left, "top": top, "width": width, "height": height}

    def point(self) -> dict[str, Any]:
        """One pixel."""
        return {"x": self.draws.below(SIDE), "y": self.draws.below(SIDE)}

    def polygon(self) -> dict[str, Any]:
        """Three vertices or more."""
        if self.canned:
            return {"vertices": [dict(zip("xy", spot, strict=True)) for spot in TRIANGLE]}
        return {"vertices": [self.point() for _ in range(self.draws.between(3, 6))]}

    def line(self) -> dict[str, Any]:
        """Two vertices or more."""
        if self.canned:
            return self.polygon()
        return {"vertices": [self.point() for _ in range(self.draws.between(2, 4))]}

    def cuboid(self) -> dict[str, Any]:
        """Six described vertices."""
        return {"vertices": [{"description": name, **self._corner(name), "type": "vertex"} for name in CORNERS]}

    def _corner(self, name: str) -> dict[str, Any]:
        return dict(zip("xy", CORNERS[name], strict=True)) if self.canned else self.point()

    def image(self, params: dict[str, Any]) -> dict[str, Any]:
        """Image annotation: one shape for each requested geometry."""
        shapes = {"box": self.box, "polygon": self.polygon, "line": self.line, "point": self.point}
        found = []
        for kind, settings in (params.get("geometries") or {}).items():
            labels = self.labels(settings if isinstance(settings, dict) else {})
            shape = shapes.get(kind, self.cuboid)()
            head = {"uuid": self.draws.uuid(), "type": kind, "label": self.draws.one(labels)}
            found.append({**head, "attributes": self.attributes(params), **shape})
        return {"annotations": found, "global_attributes": {}, "links": [], "is_customer_fix": False}

    def attributes(self, params: dict[str, Any]) -> dict[str, Any]:
        """A value for each of `annotation_attributes`."""
        found: dict[str, Any] = {}
        for name, settings in (params.get("annotation_attributes") or {}).items():
            choices = settings.get("choices") if isinstance(settings, dict) else None
            if choices:
                choice = self.draws.one(choices)
                found[name] = choice.get("value", choice) if isinstance(choice, dict) else choice
            else:
                found[name] = self.text()
        return found

    def segments(self, params: dict[str, Any]) -> dict[str, Any]:
        """Segmentation: links to images, and the meaning of each colour."""
        labels = self.labels(params)
        labeled: dict[str, str | None] = {
            label: self.link(n + 2) if n == 0 or self.draws.below(2) else None for n, label in enumerate(labels[:60])
        }
        mapping = {
            label: {"index": n, "color": COLORS[n % len(COLORS)], "attributes": None}
            for n, label in enumerate(labels, 1)
        }
        combined = {"image": self.link(0), "indexedImage": self.link(1)}
        return {
            "annotations": {"unlabeled": None, "labeled": labeled, "combined": combined},
            "labelMapping": mapping,
            "instances": {},
        }
