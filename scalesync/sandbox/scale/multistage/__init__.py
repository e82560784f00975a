"""Multi-stage tasks: blueprints of a project, and the way of a task through its stages.

What the stages do is documented (Scale docs: Multi-Stage Overview); how it looks on the wire is not, and `wire` has
all that had to be guessed. `plan` is a blueprint as values, `reading` makes it from JSON, `graph` checks it,
`conditions` decide which stages are skipped, `answers` draws what a stage adds, `runs` moves a task on,
`documents` shows it, and `calls` has the endpoints.
"""
