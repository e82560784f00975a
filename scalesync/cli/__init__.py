"""The command line: parse, call a flow, print. Modules are imported when their command is used."""
