"""A selection as the query of GET /tasks.

Scale does not document every detail of its filters: whether bounds are inclusive, whether one tag or all must match,
whether `error` is allowed. So the query asks for a little more than wanted, and the export checks every task itself.
"""

from __future__ import annotations

from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.times import iso

ASKED_STATUSES = frozenset({"pending", "completed", "canceled"})  # documented; `error` is not
WIRE = {
    "created_after": "start_time",
    "created_before": "end_time",
    "updated_after": "updated_after",
    "updated_before": "updated_before",
    "completed_after": "completed_after",
    "completed_before": "completed_before",
}


FILTERS = frozenset({"project", "batch", "type", "status", "review_status", "tags", *WIRE})


def list_query(selection: Selection, page_size: int, created: tuple[int, int] | None = None) -> JsonObject:
    """Names and values on the wire. Ranges of time are a millisecond wider than asked, at both ends.

    created: a range of creation times that replaces the selection's own.
    """
    bounds = dict(selection.bounds)
    if created is not None:
        bounds |= {"created_before": created[1]} | ({"created_after": created[0]} if created[0] > 0 else {})
    query: JsonObject = {"limit": page_size}
    for name in ("project", "batch", "type"):
        if getattr(selection, name):
            query[name] = getattr(selection, name)
    if len(selection.status) == 1 and selection.status <= ASKED_STATUSES:
        query["status"] = next(iter(selection.status))
    if selection.review_status:
        query["customer_review_status"] = ",".join(selection.review_status)
    if len(selection.tags) == 1:
        query["tags"] = list(selection.tags)
    for name, ms in bounds.items():
        query[WIRE[name]] = iso(ms - 1 if name.endswith("_after") else ms + 1)
    return query
