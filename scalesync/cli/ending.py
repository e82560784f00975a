"""How a run that raised ends: one sentence on standard error and an exit code."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import click

from scalesync.cli.event_loop import MORE_FILES
from scalesync.cli.invocation import Invocation
from scalesync.cli.output import output_is_broken, paint, say_json, tell
from scalesync.errors import ConfigError, ScalesyncError, StopRun
from scalesync.fences import raised
from scalesync.plugins import blamed
from scalesync.text import did_you_mean

INTERRUPTED = "stopped; run the same command again"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_FILES = {errno.EMFILE, errno.ENFILE}


def report(error: BaseException, invocation: Invocation, *, as_json: bool, quiet: bool = False) -> int:
    """Print what happened and return the exit code.

    With as_json the same goes to standard output as {"error", "exit_code"}; with quiet, only there.
    """
    cause = main_cause(error)
    if isinstance(cause, click.exceptions.NoArgsIsHelpError):
        tell(cause.format_message())
        return 2
    if isinstance(cause, OSError) and output_is_broken() and cause.errno == errno.EPIPE:
        return 0
    sentence, code = describe(cause)
    sentence = invocation.mask(sentence)
    if invocation.common.verbose > 1:
        import traceback

        tell(invocation.mask("".join(traceback.format_exception(error)).rstrip()))
    if not (quiet and as_json):
        tell(f"{paint('scalesync:', 'red')} {sentence}")
    if as_json:
        try:
            say_json({"error": sentence, "exit_code": code})
        except OSError:
            return code
    return code


def describe(error: BaseException) -> tuple[str, int]:
    """One sentence and the exit code for any exception."""
    if isinstance(error, FileNotFoundError | ConfigError) and _is_nowhere():
        return "the working folder no longer exists; change to another one and run the command again", 2
    if isinstance(error, ScalesyncError):
        return str(error) or type(error).__doc__ or type(error).__name__, error.exit_code
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        return f"{_no_such_option(error, error.ctx)} ({error.ctx.command_path} --help says more)", 2
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx is not None else "scalesync"
        # click puts the choices of a missing option on lines of their own.
        return f"{' '.join(error.format_message().split())} ({where} --help says more)", 2
    if isinstance(error, click.ClickException):
        return error.format_message(), 2
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED, 3
    if isinstance(error, OSError) and error.errno in _NO_FILES:
        return f"too many files are open at once; raise that, such as {MORE_FILES}, and run the same command again", 3
    if isinstance(error, OSError) and (error.errno in _FULL or error.filename is not None):
        return _describe_file(error), 3
    if isinstance(error, UnicodeEncodeError):
        return "a name or option holds bytes that are not valid UTF-8; correct it and run the command again", 2
    if isinstance(error, MemoryError):
        return "out of memory; run the same command again; it resumes", 3
    again = "run the same command again when it is fixed, and it continues (-v -v shows the traceback)"
    return f"{raised(error)} - this is a bug in {blamed(error)}; {again}", 3


def _no_such_option(error: click.NoSuchOption, ctx: click.Context) -> str:
    """With the one that is nearest; click lists all that are near by the alphabet."""
    options = (item for item in ctx.command.get_params(ctx) if isinstance(item, click.Option))
    known = [name for item in options for name in (*item.opts, *item.secondary_opts)]
    return f"there is no option {error.option_name}{did_you_mean(error.option_name, known)}"


def main_cause(error: BaseException) -> BaseException:
    """The error that decides among several raised at once: a stop, else one of ours, else the first."""
    leaves = list(_leaves(error))
    for kind in (StopRun, ScalesyncError, KeyboardInterrupt, OSError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _is_nowhere() -> bool:
    """Whether somebody removed the working folder of this process."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _describe_file(error: OSError) -> str:
    where = "" if error.filename is None else f"{error.filename}: "
    if error.errno in _FULL:
        return f"{where}no space left; make room, then run the same command again"
    return f"{where}{error.strerror or error}; fix that and run the same command again; it resumes"
