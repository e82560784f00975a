"""Where settings come from, what is refused, and that the key is never shown."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path

import pytest

from scalesync.config import keys as credentials
from scalesync.config import profiles
from scalesync.config.base_url import check_base_url, is_loopback
from scalesync.config.settings import Settings
from scalesync.errors import ConfigError
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.flows.runtime.wiring import make_gate, published_rates
from scalesync.model.targets import Mode, RequestClass, Target
from scalesync.pacing.limiter import Rate
from scalesync.platforms import registry
from scalesync.platforms.scale.spec import SPEC, mode_of
from scalesync.ports.spec import ClassLimit, KeyRule, KeyStrength, PlatformSpec, Variables, Vocabulary

KEY = "live_0123456789abcdef"
ENV = {"SCALE_API_KEY": KEY}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder, an empty config folder, no keyring."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(profiles, "_user_folder", lambda: tmp_path / "user")
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
        base_url="https://api.scale.com/v1", api_key=KEY, mode=Mode.LIVE, ledger=Path("scalesync.db"), platform="scale"
    )
    assert settings.target == Target("https://api.scale.com/v1", Mode.LIVE, "default")


# setting -> what each source says of it, and what is left when none does; the order is that of precedence
SOURCES = ("option", "profile", "environment", "default profile")
TABLE: dict[str, dict[str, object]] = {
    "platform": {"option": "scale", "profile": "scale", "default profile": "scale", "nothing": "scale"},
    "api": {"option": "v2", "profile": "v1", "default profile": "v2", "nothing": None},
    "base_url": {
        "option": "https://option.example/v1",
        "profile": "https://profile.example/v1",
        "environment": "https://environment.example/v1",
        "default profile": "https://default.example/v1",
        "nothing": "https://api.scale.com/v1",
    },
    "api_key": {"profile": "live_profile", "environment": "live_environment", "default profile": "live_default"},
    "account": {"profile": "acme", "default profile": "mine", "nothing": "default"},
    "ledger": {
        "option": Path("option.db"),
        "profile": Path("profile.db"),
        "default profile": Path("default.db"),
        "nothing": Path("scalesync.db"),
    },
    "rate": {"option": "1", "profile": "2", "default profile": "3", "nothing": None},
    "rate_all": {"option": "4", "profile": "5", "default profile": "6", "nothing": None},
    "concurrency": {"option": 7, "profile": 8, "default profile": 9, "nothing": None},
}
VARIABLES = {"base_url": "SCALE_API_URL", "api_key": "SCALE_API_KEY"}


def as_toml(setting: str, value: object) -> str:
    if setting == "api_key":
        return f'api_key_env = "{str(value).upper()}"\n'
    return f"{setting} = {value}\n" if isinstance(value, int) else f'{setting} = "{value}"\n'


def sources_of(said: dict[str, str]) -> list[tuple[str, ...]]:
    """Every set of sources that may speak of a setting at once, one that speaks at least."""
    names = [name for name in SOURCES if name in said]
    return [some for size in range(1, len(names) + 1) for some in combinations(names, size)]


@pytest.mark.parametrize(
    ("setting", "present"),
    [(setting, some) for setting, said in TABLE.items() for some in sources_of(said)],  # type: ignore[arg-type]
)
def test_what_is_typed_wins_over_what_is_ambient(setting: str, present: tuple[str, ...]) -> None:
    said = TABLE[setting]
    environ = {"SCALE_API_KEY": KEY}
    if setting == "api_key":
        environ = {str(said[name]).upper(): str(said[name]) for name in ("profile", "default profile")}
    if "environment" in present:
        environ[VARIABLES[setting]] = str(said["environment"])
    profile("" if "profile" not in present else as_toml(setting, said["profile"]))
    if "default profile" in present:
        profile(as_toml(setting, said["default profile"]), "default", "user")
    typed = {setting: said["option"]} if "option" in present else {}
    named = "work" if "profile" in present else None
    settings = resolve_settings(**typed, profile=named, environ=environ)  # type: ignore[arg-type]
    assert getattr(settings, setting) == said[present[0]]


@pytest.mark.parametrize("setting", [name for name, said in TABLE.items() if "nothing" in said])
def test_without_any_source_there_is_a_default(setting: str) -> None:
    assert getattr(resolve_settings(environ=ENV), setting) == TABLE[setting]["nothing"]


def test_every_setting_and_every_key_of_a_profile_is_in_the_table() -> None:
    keys = {name.removesuffix("_env").removesuffix("_command") for name in profiles.PROFILE_KEYS}
    assert keys == set(TABLE)
    told = {field.name for field in fields(Settings)} - {"mode", "profile", "allow_http", "notes", "mask", "extras"}
    assert told == set(TABLE)


def test_a_named_profile_leaves_the_default_one_out() -> None:
    profile('account = "mine"\nrate = 3', "default", "user")
    profile('account = "acme"')
    named = resolve_settings(profile="work", environ=ENV)
    assert (named.account, named.rate) == ("acme", None)


def test_a_default_profile_in_the_working_folder_is_read_only_when_it_is_named() -> None:
    """Whoever made the folder must not choose where the key of the environment goes."""
    profile('base_url = "https://elsewhere.example/v1"\napi_key_command = "false"', "default")
    assert resolve_settings(environ=ENV).base_url == "https://api.scale.com/v1"
    assert resolve_settings(profile="default", base_url="https://a.example/v1", need_key=False, environ={}).account


@pytest.mark.parametrize(
    ("text", "environ", "says"),
    [
        ("", {"SCALE_API_KEY": KEY}, ["the live key of SCALE_API_KEY"]),
        ("", {"SCALE_API_KEY": "test_k", "SCALE_API_URL": "https://env.example/v1/"}, ["test key", "env.example"]),
        ('base_url = "https://p.example/v1"', {"SCALE_API_KEY": KEY, "SCALE_API_URL": "https://e.test"}, ["live key"]),
        ('api_key_env = "MINE"', {"MINE": KEY, "SCALE_API_URL": "https://e.test/v1"}, ["SCALE_API_URL"]),
    ],
)
def test_what_a_named_profile_leaves_to_the_environment_is_said(
    text: str, environ: dict[str, str], says: list[str]
) -> None:
    profile(text)
    (note,) = resolve_settings(profile="work", environ=environ).notes
    assert note.startswith("profile 'work' leaves to the environment: ")
    assert all(word in note for word in says)
    assert KEY not in note
    assert ("SCALE_API_URL" in note) == ("base_url" not in text and "SCALE_API_URL" in environ)


@pytest.mark.parametrize(
    ("text", "environ", "typed"),
    [
        ('base_url = "https://p.example/v1"\napi_key_env = "MINE"', {"MINE": KEY, "SCALE_API_URL": "https://e"}, {}),
        ('api_key_env = "SCALE_API_KEY"', ENV, {}),
        ('api_key_env = "MINE"', {"MINE": KEY, "SCALE_API_URL": "https://e"}, {"base_url": "https://o.example/v1"}),
    ],
)
def test_a_profile_that_leaves_nothing_open_needs_no_word(
    text: str, environ: dict[str, str], typed: dict[str, str]
) -> None:
    profile(text)
    assert resolve_settings(profile="work", environ=environ, **typed).notes == ()  # type: ignore[arg-type]


def test_key_and_address_from_the_default_profile_and_the_environment_are_distinguished() -> None:
    profile('base_url = "https://mine.example/v1"\napi_key_env = "MINE"', "default", "user")
    (note,) = resolve_settings(environ={"MINE": KEY, "SCALE_API_URL": "https://env.example/v1"}).notes
    assert "default profile" in note
    assert "https://env.example/v1" in note
    (note,) = resolve_settings(environ=ENV).notes
    assert "SCALE_API_KEY" in note
    assert resolve_settings(environ={**ENV, "SCALE_API_URL": "https://env.example/v1"}).notes == ()
    assert resolve_settings(environ={"MINE": KEY}).notes == ()


@pytest.mark.parametrize("name", ["labelstudio", "Scale", "sacle", ""])
def test_a_platform_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    assert "this version has scale" in refused(platform=name)
    profile(f'platform = "{name}"')
    assert "this version has scale" in refused(profile="work")


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
    assert both.api_key == "test_other"
    assert "ACME_KEY" in refused(profile="work", environ=ENV)


def test_a_key_that_only_the_profiles_command_knows_is_not_taken_from_the_environment() -> None:
    profile('api_key_command = "false"')
    assert resolve_settings(profile="work", need_key=False, environ={"SCALE_API_KEY": "test_x"}).api_key == ""


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
def test_a_failing_command_is_reported_without_its_output(
    script: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    command_profile(script)
    assert says in refused(profile="work", environ={})
    assert capfd.readouterr() == ("", "")


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "KEY_COMMAND_LIMIT_S", 0.2)
    command_profile("import threading; threading.Event().wait()")
    assert "within 0.2 s" in refused(profile="work", environ={})


@pytest.mark.parametrize("command", ["'open", "", "/nowhere/at-all"])
def test_a_command_that_cannot_run_is_named(command: str) -> None:
    profile(f'api_key_command = "{command}"')
    assert "api_key_command" in refused(profile="work", environ={})


class NoKeyring(RuntimeError):
    """What the keyring library raises where it has no backend."""


def keyring_that(monkeypatch: pytest.MonkeyPatch, answer: Callable[..., str | None]) -> None:
    errors = types.ModuleType("keyring.errors")
    errors.NoKeyringError = NoKeyring  # type: ignore[attr-defined]
    fake = types.ModuleType("keyring")
    fake.errors = errors  # type: ignore[attr-defined]
    fake.get_password = answer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", fake)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)


def test_the_keyring_is_asked_last_and_by_account(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    keyring_that(monkeypatch, lambda *who: asked.append(who) or KEY)
    profile('account = "acme"')
    assert resolve_settings(profile="work", environ={"SCALE_API_KEY": "test_x"}).api_key == "test_x"
    assert asked == []
    assert resolve_settings(profile="work", environ={}).api_key == KEY
    assert asked == [("scalesync", "acme")]


def test_a_keyring_that_waits_for_a_window_nobody_sees_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    forever = threading.Event()
    keyring_that(monkeypatch, lambda *_: str(forever.wait()))
    monkeypatch.setattr(credentials, "KEYRING_LIMIT_S", 0.05)
    assert refused(environ={}) == ("the system keyring gave no answer within 0.05 s; unlock it, or set SCALE_API_KEY")
    forever.set()


@pytest.mark.parametrize("error", [PermissionError(KEY), ModuleNotFoundError(KEY), ValueError(KEY)])
def test_whatever_a_keyring_raises_is_one_sentence_without_its_words(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: str) -> str | None:
        raise error

    keyring_that(monkeypatch, fail)
    assert refused(environ={}) == (
        f"the system keyring failed ({type(error).__name__}); unlock it, or set SCALE_API_KEY"
    )


def test_a_machine_without_a_keyring_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: str) -> str | None:
        raise NoKeyring

    keyring_that(monkeypatch, none)
    assert refused(environ={}).startswith("no API key: set SCALE_API_KEY")


def test_the_config_folder_of_somebody_else_holds_no_default_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", locked)
    settings = resolve_settings(environ=ENV)
    assert settings.api_key == ENV["SCALE_API_KEY"]
    (note,) = settings.notes
    assert note.endswith("user cannot be read, so no default profile is used; is HOME right?")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('api_key = "live_x"', "do not belong in files"),
        ('colour = "red"', "`colour`"),
        ("account = 3", "`account` must be a string"),
        ("rate = true", "`rate` must be a number or a string"),
        ('account = ""', "account"),
        (f"api_key = {KEY}", "not valid TOML"),
        ("rate = 0", "invalid rate"),
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
        assert "invalid profile name" in refused(profile=name)


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
    assert check_base_url(text, SPEC) == address
    assert check_base_url(address, SPEC) == address


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


def test_loopback_is_recognised_by_address_not_by_name() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("127.0.0.1.example")


@pytest.mark.parametrize("rate", ["30", "2.5", "auto", "100/min", "5/s", "900/h", "AUTO", " 30 "])
def test_rates_are_kept_as_typed(rate: str) -> None:
    assert resolve_settings(rate=rate, environ=ENV).rate == rate.strip().lower()


@pytest.mark.parametrize("rate", ["", "0", "0.0", "-1", "fast", "1/day", "30/", "1e3", "٣", "nan"])
def test_other_rates_are_refused(rate: str) -> None:
    assert "invalid rate" in refused(rate=rate)
    assert "invalid rate" in refused(rate_all=rate)


def test_no_limit_over_all_is_what_auto_means_there() -> None:
    assert resolve_settings(rate_all="auto", environ=ENV).rate_all is None
    assert resolve_settings(rate_all="50", environ=ENV).rate_all == "50"


@pytest.mark.parametrize(("asked", "got"), [("auto", None), ("1", 1), ("512", 512), (64, 64), (None, None)])
def test_concurrency_is_auto_or_a_number(asked: str | int | None, got: int | None) -> None:
    assert resolve_settings(concurrency=asked, environ=ENV).concurrency == got


@pytest.mark.parametrize("asked", ["0", "513", "-1", "many", "1.5", "", 0, "٣"])
def test_other_concurrency_is_refused(asked: str | int) -> None:
    assert "concurrency" in refused(concurrency=asked)


@pytest.mark.parametrize("address", ["https://api.scale.com.example/v1", "http://127.0.0.1:8787/v1"])
def test_the_published_rate_is_kept_at_the_platforms_own_address_only(address: str) -> None:
    assert published_rates(SPEC, "https://api.scale.com/v1") == {RequestClass.CREATE: Rate(30.0, 1.0)}
    assert published_rates(SPEC, address) == {}


OTHER = PlatformSpec(
    name="other",
    title="Other",
    hosts=("api.other.example",),
    default_url=None,
    root_like="https://label.example.com",
    variables=Variables("OTHER_API_KEY", "OTHER_API_URL"),
    vocabulary=Vocabulary(key="key", ref="id"),
    key=KeyRule(strength=KeyStrength.LABEL),
    shaper=SPEC.shaper,
    view=SPEC.view,
    page_most=50,
    adapter="nowhere:None",
)
COUNTED = replace(
    OTHER,
    limits={RequestClass.LIST: ClassLimit(rate="100/min"), RequestClass.MUTATE: ClassLimit(width=1)},
    shared=(frozenset({RequestClass.LIST, RequestClass.CREATE}),),
)
BOTH = {"SCALE_API_KEY": "test_scale", "OTHER_API_KEY": "test_other"}


@pytest.fixture
def _two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second platform of the program's own."""
    real = registry.spec_of
    monkeypatch.setitem(registry.BUILT_IN, "other", "here")
    monkeypatch.setattr(registry, "spec_of", lambda name: OTHER if name == "other" else real(name))


@pytest.mark.usefixtures("_two")
@pytest.mark.parametrize(
    ("typed", "named", "default", "environ", "wanted"),
    [
        ({}, None, "", {}, "scale"),
        ({"platform": "other", "base_url": "https://api.scale.com/v1"}, 'platform = "scale"', "", {}, "other"),
        ({"base_url": "https://api.scale.com/v1"}, 'platform = "other"', "", {}, "other"),
        ({"base_url": "https://api.other.example"}, None, "", {}, "other"),
        ({"base_url": "https://api.other.example"}, None, 'platform = "scale"', {}, "scale"),
        ({}, 'base_url = "https://api.other.example"', "", {}, "other"),
        ({}, None, 'base_url = "https://api.other.example"', {}, "other"),
        ({}, None, 'base_url = "https://api.other.example"', {"SCALE_API_URL": "https://s.example/v1"}, "scale"),
        ({}, None, "", {"OTHER_API_URL": "https://o.example"}, "scale"),
        ({"base_url": "https://elsewhere.example"}, None, "", {}, "scale"),
    ],
)
def test_the_platform_is_named_or_recognised_by_its_address(
    typed: dict[str, str], named: str | None, default: str, environ: dict[str, str], wanted: str
) -> None:
    profile(named or "")
    profile(default, "default", "user")
    found = resolve_settings(**typed, profile="work" if named else None, environ={**BOTH, **environ})  # type: ignore[arg-type]
    assert found.platform == wanted
    assert found.api_key == f"test_{wanted}"
    assert found.mode is (Mode.TEST if wanted == "scale" else Mode.LIVE), "a key is spelled in the platform's way"


@pytest.mark.usefixtures("_two")
def test_a_platform_without_an_address_of_its_own_says_where_it_is_looked_for() -> None:
    told = refused(platform="other", environ=BOTH)
    assert told.startswith("no API address: each installation of Other has its own; set OTHER_API_URL")
    assert resolve_settings(platform="other", environ={**BOTH, "OTHER_API_URL": "https://o.example/"}).base_url == (
        "https://o.example"
    )
    assert "set OTHER_API_KEY" in refused(platform="other", base_url="https://o.example", environ=ENV)
    assert refused(platform="other", base_url="https://u@o.example", environ=BOTH).endswith(
        "give the root, such as https://label.example.com"
    )


@pytest.mark.usefixtures("_two")
def test_limits_of_the_spec_pace_a_run_and_a_typed_rate_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "spec_of", lambda name: COUNTED)
    asked: list[tuple[str | None, float, float | None]] = [(None, 100 / 60, None), ("30", 30, None), ("auto", 0, None)]
    for rate, per_second, elsewhere in asked:
        settings = resolve_settings(base_url="https://api.other.example", rate=rate, environ=BOTH)
        pace, _ = make_gate(settings.way, RequestClass.CREATE)
        assert pace.rate(RequestClass.CREATE) == pace.rate(RequestClass.LIST) == (per_second or None)
        assert pace.rate(RequestClass.MUTATE) == elsewhere
        assert pace.width(RequestClass.MUTATE) == 1
    settings = resolve_settings(base_url="https://o.example", environ=BOTH)
    assert make_gate(settings.way, RequestClass.CREATE)[0].rate(RequestClass.LIST) is None
    settings = resolve_settings(base_url="https://api.other.example", rate="7", environ=BOTH)
    pace, _ = make_gate(settings.way, RequestClass.MUTATE)
    assert (pace.rate(RequestClass.MUTATE), pace.rate(RequestClass.CREATE)) == (7, 100 / 60)


def test_what_cannot_be_asked_for_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match=r"no option 'ratte'; did you mean 'rate'\?"):
        resolve_settings(ratte="30", environ=ENV)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("typed", "address", "wanted"),
    [
        ({}, None, ("scale", "https://api.scale.com/v1")),
        ({"api": "v1"}, None, ("scale", "https://api.scale.com/v1")),
        ({"api": "v2"}, None, ("scale-v2", "https://api.scale.com/v2")),
        ({"platform": "scale", "api": "v2"}, None, ("scale-v2", "https://api.scale.com/v2")),
        ({"platform": "scale-v2"}, None, ("scale-v2", "https://api.scale.com/v2")),
        ({"platform": "scale-v2", "api": "v2"}, None, ("scale-v2", "https://api.scale.com/v2")),
        ({"api": "v2"}, "https://s.example:8443/x/v1/", ("scale-v2", "https://s.example:8443/x/v2")),
        ({"api": "v2"}, "https://s.example/v2", ("scale-v2", "https://s.example/v2")),
        ({"api": "v2"}, "https://s.example/v11", ("scale-v2", "https://s.example/v11")),
    ],
)
def test_a_version_of_the_api_is_a_platform_at_its_own_root(
    typed: dict[str, str], address: str | None, wanted: tuple[str, str]
) -> None:
    environ = {**ENV, **({} if address is None else {"SCALE_API_URL": address})}
    found = resolve_settings(**typed, environ=environ)  # type: ignore[arg-type]
    assert (found.platform, found.base_url) == wanted
    assert found.api_key == resolve_settings(environ=ENV).api_key


def test_a_platform_and_a_version_that_contradict_each_other_are_refused() -> None:
    told = "platform scale-v2 is API v2 of its service, so it contradicts API v1; leave one of them out"
    assert refused(platform="scale-v2", api="v1") == told
    profile('platform = "scale-v2"\napi = "v1"\n')
    assert refused(profile="work") == told
    assert refused(profile="work", platform="scale-v2", api="v1") == told


def test_of_a_platform_and_a_version_the_typed_one_wins_over_the_profile() -> None:
    profile('api = "v1"\n')
    found = resolve_settings(platform="scale-v2", profile="work", environ=ENV)
    assert (found.platform, found.api, found.base_url) == ("scale-v2", "v2", "https://api.scale.com/v2")
    profile('platform = "scale-v2"\n')
    found = resolve_settings(api="v1", profile="work", environ=ENV)
    assert (found.platform, found.api) == ("scale", "v1")
    assert resolve_settings(profile="work", environ=ENV).platform == "scale-v2"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({}, "is taken for the v1 root all the same; give https://s.example/x/v1, or choose --api v2"),
        ({"api": "v1"}, "is taken for the v1 root all the same; give https://s.example/x/v1"),
        (
            {"task_type": "categorization"},
            "is taken for the v1 root all the same; give https://s.example/x/v1, or choose --api v2",
        ),
        ({"task_type": "chat"}, ""),
        ({"api": "v2"}, ""),
        ({"platform": "scale-v2"}, ""),
    ],
)
def test_an_address_of_another_version_is_told_before_anything_is_sent(typed: dict[str, str], told: str) -> None:
    found = resolve_settings(base_url="https://s.example/x/v2", **typed, environ=ENV)  # type: ignore[arg-type]
    assert found.notes == ((f"the address https://s.example/x/v2 ends in /v2 and {told}",) if told else ())
    assert resolve_settings(base_url="https://s.example/x", **typed, environ=ENV).notes == ()  # type: ignore[arg-type]


@pytest.mark.usefixtures("_two")
def test_a_version_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="Scale AI has no API 'v3'; --api takes v1 or v2"):
        resolve_settings(api="v3", environ=ENV)
    with pytest.raises(ConfigError, match="one API of Other; leave --api out"):
        resolve_settings(platform="other", api="v2", base_url="https://o.example", environ=BOTH)
