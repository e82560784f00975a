"""What every emulated platform needs. Imports no platform.

A platform is an `App` (`app.py`): it classifies a request for the faults, checks who asks, runs what is due and
answers. These modules surround it; each imports only modules below it in this list:

    host        an app in a running loop, or blocking until a signal
    server      HTTP, and where faults strike
    control     the control plane under /_sandbox
    engine      key, rate limit, time, answer: one request to one reply
    app         what a platform has to provide
    access, ratelimit, faults, journal      keys, token buckets, the fault schedule, the requests that came in
    config      the settings that all platforms share
    datalog     state in a file
    lists/      the sorted arrays behind lists, and the faults of lists
    wire/       requests, replies, errors, JSON and times
"""
