"""All endpoints, by the name of the client's method."""

from __future__ import annotations

from scalesync.platforms.scale.api import batches, blueprints, deliveries, files, genai, people, projects, tasks
from scalesync.platforms.scale.api.endpoint import Endpoint

ROWS = (
    *tasks.ROWS,
    *batches.ROWS,
    *projects.ROWS,
    *blueprints.ROWS,
    *files.ROWS,
    *people.ROWS,
    *genai.ROWS,
    *deliveries.ROWS,
)
ENDPOINTS: dict[str, Endpoint] = {row.name: row for row in ROWS}
