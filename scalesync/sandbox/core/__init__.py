"""What every emulated platform needs, whichever it is. Imports none of them.

A platform is an `App` (`app.py`): it classifies a request for the faults, challenges the caller, lets time pass and
answers. Around it stand, each module importing only those after it:

    host        an app in a running loop, or blocking until a signal
    server      HTTP, and where faults strike
    control     the control plane under /_sandbox
    engine      key, rate limit, time, answer: one request to one reply
    app         what a platform has to bring
    access, ratelimit, faults, journal      keys, token buckets, the schedule, what was seen
    config      the settings that all platforms share
    datalog     state in a file
    lists/      sorted arrays that lists are read from, and how a list lies
    wire/       requests, replies, errors, JSON and times
"""
