"""Multi-stage tasks: one task per scene, whose stages a blueprint defines.

`wire` holds all that the public sources leave unknown: names, paths and shapes stand there and nowhere else.
"""
