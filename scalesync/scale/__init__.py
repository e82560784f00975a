"""The client of Scale's API, for programs: `from scalesync.scale import AsyncScaleClient`.

`Client` is the same without async, for scripts. Both are made of one table of endpoints
(`scalesync.platforms.scale.api`), as `scalesync scale` is.
"""
