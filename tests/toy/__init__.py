"""A second platform, as far from Scale as a platform can be: what the ports promise must hold for it as well.

server/     its service: chunks, labels, commands, tokens that expire, pages that ascend, exports as files
platform/   the package that a third party would write for it, found by its entry point
"""
