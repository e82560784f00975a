"""One run of the program: its settings, its log, and command lines to copy."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from scalesync.cli.options import Common, key_values
from scalesync.cli.output import tell
from scalesync.errors import ConfigError
from scalesync.masking import Mask

if TYPE_CHECKING:
    from scalesync.cli.progress import ProgressDisplay
    from scalesync.config.settings import Settings
    from scalesync.flows.runtime.options import ImportOptions
    from scalesync.ports.spec import Vocabulary


@dataclass(slots=True)
class Invocation:
    """One run of the program: the common options and what must not be printed.

    args: as typed.
    summary: what the command did, for the log.
    """

    common: Common = field(default_factory=Common)
    mask: Mask = field(default_factory=Mask)
    args: Sequence[str] = ()
    summary: Mapping[str, Any] | None = None

    def settings(self, *, need_key: bool = True, task_type: str | None = None) -> Settings:
        """Resolve the settings; from here on the key is masked in everything printed.

        task_type: of an import, for `for_import`.
        """
        from scalesync.flows.runtime.setup.services import resolve_settings

        asked = self.common
        settings = resolve_settings(
            platform=asked.platform,
            api=asked.api,
            base_url=asked.base_url,
            profile=asked.profile,
            ledger=asked.ledger,
            rate=asked.rate,
            rate_all=asked.rate_all,
            concurrency=asked.concurrency,
            allow_http=asked.allow_http,
            extras=key_values(asked.with_),
            task_type=task_type,
            need_key=need_key,
        )
        self.mask.add(settings.api_key)
        settings = replace(settings, mask=self.mask)
        if not asked.quiet:
            for note in settings.notes:
                tell(self.mask(note))
        about = f"target {settings.target}, ledger {settings.ledger}"
        if asked.verbose and not asked.quiet:
            tell(self.mask(about))
        elif asked.log_file is not None:
            from scalesync.cli.logs import log_line

            log_line(about)
        return settings

    def for_import(self, options: ImportOptions, settings: Settings) -> Settings:
        """The settings of an import, over the version of the API that makes its type of task."""
        from scalesync.flows.runtime.setup.services import spec_of

        if options.type not in spec_of(settings.platform).api_of_types or settings.api is not None:
            return settings
        from scalesync.cli.event_loop import run_async
        from scalesync.flows.imports.apis import choose_api

        def note(text: str) -> None:
            if not self.common.quiet:
                tell(self.mask(text))

        chosen: Settings = run_async(choose_api, options, settings, note)
        self.common = replace(self.common, api=chosen.api)  # for command lines to copy
        return chosen

    @staticmethod
    def words(settings: Settings) -> Vocabulary:
        """What things are called on the platform of these settings."""
        from scalesync.flows.runtime.setup.services import spec_of

        return spec_of(settings.platform).vocabulary

    def command(self, *words: str, paced: bool = False) -> str:
        """A command line to copy: the program, these words, and the typed options that lead to this ledger and this
        target.

        paced: with the typed options that slow it down, for a command that sends.
        """
        asked = self.common
        options: dict[str, object] = {
            "--profile": asked.profile,
            "--platform": asked.platform,
            "--api": asked.api,
            "--base-url": asked.base_url,
            "--ledger": asked.ledger,
        }
        if paced:
            options |= {"--rate": asked.rate, "--rate-all": asked.rate_all, "--concurrency": asked.concurrency}
        typed = [text for name, value in options.items() if value is not None for text in (name, str(value))]
        typed += [text for pair in asked.with_ for text in ("--with", pair)]
        return shlex.join(["scalesync", *words, *typed, *(["--allow-http"] if asked.allow_http else [])])

    def display(self) -> ProgressDisplay:
        """The observer that shows a flow's progress."""
        from scalesync.cli.progress import ProgressDisplay

        return ProgressDisplay(quiet=self.common.quiet, mask=self.mask)

    def start_logging(self) -> None:
        """-v shows scalesync's own log, -vv its details as well; --log-file keeps it with all messages.

        Without them only the reports of libraries are shown.
        """
        from scalesync.cli.logs import forget_handlers, log_begin, log_to_file, log_to_stderr, mask_stray_logs

        asked = self.common
        mask_stray_logs(self.mask)
        forget_handlers()
        if asked.verbose and not asked.quiet:
            log_to_stderr(asked.verbose, self.mask)
        if asked.log_file is not None:
            log_to_file(asked.log_file, asked.log_format or "text", asked.verbose, self.mask)
            log_begin(self.args)
        elif asked.log_format is not None:
            raise ConfigError("--log-format goes with --log-file")

    def end_logging(self, code: int) -> None:
        """Write the end of the command to --log-file."""
        if self.common.log_file is not None:
            from scalesync.cli.logs import log_end

            log_end(code, self.summary)
