"""Flows join the layers: what import, export, status, failures and retry do, from options to a summary.

`wiring` is the only module that builds concrete objects (platform, ledger, pace); the others see protocols.
"""
