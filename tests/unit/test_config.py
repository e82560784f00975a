"""Where settings come from, what is refused, and that the key is never shown."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from scalesync import config
from scalesync.config import Settings, check_base_url, default_rate, is_loopback, mode_of, resolve_settings
from scalesync.errors import ConfigError
from scalesync.model import Mode, Target

KEY = "live_0123456789abcdef"
ENV = {"SCALE_API_KEY": KEY}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder, an empty config folder, no keyring."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "_user_folder", lambda: tmp_path / "user")
    monkeypatch.setitem(sys.modules, "keyring", None)


def profile(text: str, name: str = "work", folder: str = "config") -> None:
    Path(folder).mkdir(exist_ok=True)
    (Path(folder) / f"{name}.toml").write_text(text, "utf-8")


def refused(**settings: object) -> str:
    environ = settings.pop("environ", ENV)
    with pytest.raises(ConfigError) as caught:
        resolve_settings(**settings, environ=environ)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    assert KEY not in str(caught.value)
    return str(caught.value)


def test_defaults_are_scale_and_a_ledger_in_the_working_folder() -> None:
    settings = resolve_settings(environ=ENV)
    assert settings == Settings(
        base_url="https://api.scale.com/v1", api_key=KEY, mode=Mode.LIVE, ledger=Path("scalesync.db")
    )
    assert settings.target == Target("https://api.scale.com/v1", Mode.LIVE, "default")


def test_flag_wins_over_environment_over_profile_over_default() -> None:
    profile('base_url = "https://profile.example/v1"\nrate = 7\nledger = "p.db"\nconcurrency = 9\naccount = "acme"')
    named = resolve_settings(profile="work", environ=ENV)
    assert (named.base_url, named.rate, named.ledger) == ("https://profile.example/v1", "7", Path("p.db"))
    assert (named.concurrency, named.account, named.profile) == (9, "acme", "work")
    environ = {**ENV, "SCALE_API_URL": "https://env.example/v1"}
    assert resolve_settings(profile="work", environ=environ).base_url == "https://env.example/v1"
    flags = resolve_settings(
        profile="work", environ=environ, base_url="https://flag.example/v1", rate="100/min", ledger="f.db"
    )
    assert (flags.base_url, flags.rate, flags.ledger) == ("https://flag.example/v1", "100/min", Path("f.db"))


def test_a_profile_in_the_working_folder_wins_over_the_users() -> None:
    profile('account = "mine"', folder="user")
    assert resolve_settings(profile="work", environ=ENV).account == "mine"
    profile('account = "here"')
    assert resolve_settings(profile="work", environ=ENV).account == "here"


def test_neither_repr_nor_str_shows_the_key() -> None:
    settings = resolve_settings(environ=ENV)
    for text in (repr(settings), str(settings), f"{settings!r:>10}"):
        assert KEY not in text
        assert "api_key=***" in text


@pytest.mark.parametrize(
    ("key", "mode"),
    [
        ("live_abc", Mode.LIVE),
        ("test_abc", Mode.TEST),
        ("abc|user|test", Mode.TEST),
        ("abc|test|user", Mode.LIVE),
        ("latest_abc", Mode.LIVE),
    ],
)
def test_the_key_tells_the_mode(key: str, mode: Mode) -> None:
    assert mode_of(key) is mode
    assert resolve_settings(environ={"SCALE_API_KEY": key}).mode is mode


def test_a_missing_key_is_one_sentence_with_every_way_out() -> None:
    text = refused(environ={})
    assert "\n" not in text
    for word in ("SCALE_API_KEY", "profile", "api_key_env", "api_key_command", "keyring"):
        assert word in text


def test_without_need_for_a_key_nothing_is_asked() -> None:
    profile('api_key_command = "false"')
    settings = resolve_settings(profile="work", need_key=False, environ={})
    assert (settings.api_key, settings.mode) == ("", Mode.LIVE)
    assert resolve_settings(need_key=False, environ={"SCALE_API_KEY": "test_x"}).mode is Mode.TEST


@pytest.mark.parametrize("key", [f"{KEY} ", f"{KEY}\n", f"{KEY}\r", f"x\x00{KEY}", f"{KEY}é", "\u201c" + KEY])
def test_a_damaged_key_is_refused_without_showing_it(key: str) -> None:
    assert "API key holds" in refused(environ={"SCALE_API_KEY": key})


def test_the_key_comes_from_a_variable_that_the_profile_names() -> None:
    profile('api_key_env = "ACME_KEY"')
    assert resolve_settings(profile="work", environ={"ACME_KEY": KEY}).api_key == KEY
    assert "ACME_KEY" in refused(profile="work", environ={})
    both = resolve_settings(profile="work", environ={"ACME_KEY": "test_other", "SCALE_API_KEY": KEY})
    assert both.api_key == KEY


@pytest.mark.parametrize("value", ["test_realkey", "live_0123456789abcdef", "sk-ABC", "MY KEY", "0ABC"])
def test_a_key_in_place_of_a_variables_name_is_not_shown(value: str) -> None:
    profile(f'api_key_env = "{value}"')
    told = refused(profile="work", environ={})
    assert value not in told
    assert "profile 'work': api_key_env names no variable that is set" in told


def command_profile(script: str) -> None:
    Path("say_key.py").write_text(script, "utf-8")
    profile(f"api_key_command = \"'{Path(sys.executable).as_posix()}' say_key.py 'a b'\"")


def test_the_key_comes_from_a_command_run_without_a_shell() -> None:
    command_profile(f"import sys; assert sys.argv[1:] == ['a b']; print('  {KEY}  ')")
    assert resolve_settings(profile="work", environ={}).api_key == KEY


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (f"import sys; print('{KEY}'); print('{KEY}', file=sys.stderr); sys.exit(4)", "exit code 4"),
        ("", "profile 'work': api_key_command: the API key is empty"),
        (f"print('{KEY}'); print('more')", "API key holds"),
        (f"import sys; sys.stdout.buffer.write(b'\\xff{KEY}')", "API key holds"),
    ],
)
def test_a_failing_command_is_told_without_its_output(
    script: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    command_profile(script)
    assert says in refused(profile="work", environ={})
    assert capfd.readouterr() == ("", "")


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "KEY_COMMAND_LIMIT_S", 0.2)
    command_profile("import threading; threading.Event().wait()")
    assert "within 0.2 s" in refused(profile="work", environ={})


@pytest.mark.parametrize("command", ["'open", "", "/nowhere/at-all"])
def test_a_command_that_cannot_run_is_named(command: str) -> None:
    profile(f'api_key_command = "{command}"')
    assert "api_key_command" in refused(profile="work", environ={})


def test_the_keyring_is_asked_last_and_by_account(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    errors = types.ModuleType("keyring.errors")
    errors.KeyringError = OSError  # type: ignore[attr-defined]
    fake = types.ModuleType("keyring")
    fake.errors = errors  # type: ignore[attr-defined]
    fake.get_password = lambda *who: asked.append(who) or KEY  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", fake)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    profile('account = "acme"')
    assert resolve_settings(profile="work", environ={"SCALE_API_KEY": "test_x"}).api_key == "test_x"
    assert asked == []
    assert resolve_settings(profile="work", environ={}).api_key == KEY
    assert asked == [("scalesync", "acme")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('api_key = "live_x"', "do not belong in files"),
        ('colour = "red"', "`colour`"),
        ("account = 3", "`account` must be a text"),
        ("rate = true", "`rate` must be a number or a text"),
        ('account = ""', "account"),
        (f"api_key = {KEY}", "not valid TOML"),
        ("rate = 0", "no rate"),
        ("concurrency = 513", "513"),
    ],
)
def test_a_wrong_profile_is_named_with_its_file(text: str, says: str) -> None:
    profile(text)
    message = refused(profile="work")
    assert says in message
    if "must be" in says or "`" in says:
        assert str(Path("config") / "work.toml") in message


def test_an_unknown_or_odd_profile_name_is_refused() -> None:
    assert str(Path("config") / "nobody.toml") in refused(profile="nobody")
    for name in ("../work", "", ".hidden", "a/b", "C:\\x"):
        assert "no plain name" in refused(profile=name)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://api.scale.com/v1/", "https://api.scale.com/v1"),
        ("HTTPS://API.Scale.com:443/v1", "https://api.scale.com/v1"),
        ("http://127.0.0.1:8787/v1", "http://127.0.0.1:8787/v1"),
        ("http://127.9.9.9:80/v1", "http://127.9.9.9/v1"),
        ("http://[::1]:8787/v1", "http://[::1]:8787/v1"),
        ("http://localhost:8787/v1//", "http://localhost:8787/v1"),
        ("https://proxy.example/scale/V1", "https://proxy.example/scale/V1"),
    ],
)
def test_an_address_has_one_spelling(text: str, address: str) -> None:
    assert check_base_url(text) == address
    assert check_base_url(address) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.scale.com/v1",
        "ftp://api.scale.com/v1",
        "https://",
        "https:///v1",
        "https://host:port/v1",
        "https://host:99999/v1",
        "https://[::1/v1",
        "https://a b/v1",
        "https://a\n/v1",
        "https://ä.example/v1",
        "https://user:secret@host/v1",
        "https://host/v1?key=secret",
        "https://host/v1#secret",
        "http://api.scale.com/v1",
        "http://10.0.0.1/v1",
        "http://localhost.example/v1",
        "http://0.0.0.0:8787/v1",
    ],
)
def test_a_wrong_address_is_refused_and_no_secret_in_it_shown(text: str) -> None:
    assert "secret" not in refused(base_url=text)


def test_plain_http_goes_elsewhere_only_when_allowed() -> None:
    assert "--allow-http" in refused(base_url="http://10.0.0.1/v1")
    assert (
        resolve_settings(base_url="http://10.0.0.1/v1", allow_http=True, environ=ENV).base_url == "http://10.0.0.1/v1"
    )


def test_loopback_is_told_by_address_not_by_name() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("127.0.0.1.example")


@pytest.mark.parametrize("rate", ["30", "2.5", "auto", "100/min", "5/s", "900/h", "AUTO", " 30 "])
def test_rates_are_kept_as_typed(rate: str) -> None:
    assert resolve_settings(rate=rate, environ=ENV).rate == rate.strip().lower()


@pytest.mark.parametrize("rate", ["", "0", "0.0", "-1", "fast", "1/day", "30/", "1e3", "٣", "nan"])
def test_other_rates_are_refused(rate: str) -> None:
    assert "no rate" in refused(rate=rate)
    assert "no rate" in refused(rate_all=rate)


def test_no_limit_over_all_is_what_auto_means_there() -> None:
    assert resolve_settings(rate_all="auto", environ=ENV).rate_all is None
    assert resolve_settings(rate_all="50", environ=ENV).rate_all == "50"


@pytest.mark.parametrize(("asked", "got"), [("auto", None), ("1", 1), ("512", 512), (64, 64), (None, None)])
def test_concurrency_is_auto_or_a_number(asked: str | int | None, got: int | None) -> None:
    assert resolve_settings(concurrency=asked, environ=ENV).concurrency == got


@pytest.mark.parametrize("asked", ["0", "513", "-1", "many", "1.5", "", 0, "٣"])
def test_other_concurrency_is_refused(asked: str | int) -> None:
    assert "concurrency" in refused(concurrency=asked)


def test_only_scale_itself_has_a_known_rate() -> None:
    assert default_rate("https://api.scale.com/v1") == "30"
    assert default_rate("https://api.scale.com.example/v1") == "auto"
    assert default_rate("http://127.0.0.1:8787/v1") == "auto"
