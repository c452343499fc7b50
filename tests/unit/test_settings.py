"""A wrong setting is explained by its key, and by the nearest right one."""

from decimal import Decimal
from pathlib import Path

import pytest

from penstock_shared.errors import SettingsError
from penstock_shared.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def write(text: str) -> None:
    Path("penstock.toml").write_text(text, encoding="utf-8")


def refusal_of(home: Path) -> str:
    with pytest.raises(SettingsError) as refusal:
        load_settings(home)
    assert "\n" not in refusal.value.message
    return refusal.value.message


def test_without_any_setting_there_are_three_tiers_and_a_ledger_in_the_home(home: Path) -> None:
    settings = load_settings(home)
    assert list(settings.tiers) == ["small", "medium", "large"]
    assert settings.ledger == f"sqlite:///{home / 'ledger.db'}"
    assert settings.largest_tier == "large"


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("[cache]\ntreshold = 0.9", "cache.treshold", "'threshold'"),
        ("[worker]\nmax_wait = 5", "worker.max_wait", "'max_wait_ms'"),
        ("[chache]\nenabled = true", "chache", "'cache'"),
        (
            '[tiers.big]\nmodel="m"\nprice_per_hour=1\nmax_len=9',
            "tiers.big.max_len",
            "'max_model_len'",
        ),
        ('[[routing.rules]]\nname="r"\ntier="small"\nmax_word=3', "max_word", "'max_words'"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(
    home: Path, text: str, key: str, hint: str
) -> None:
    write(text)
    message = refusal_of(home)
    assert key in message
    assert f"did you mean {hint}?" in message
    assert "penstock.toml" in message


def test_a_key_like_no_other_is_answered_with_all_that_are_known(home: Path) -> None:
    write("[cache]\nqqqqqqqq = 1")
    assert "known here are answer_similarity, capacity, enabled, encoder" in refusal_of(home)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[cache]\nthreshold = 1.5", "cache.threshold: "),
        ("[worker]\nmax_batch_size = 0", "worker.max_batch_size: "),
        ("[worker]\nlease_s = 3\nheartbeat_s = 2", "at least twice worker.heartbeat_s"),
        ('[[routing.rules]]\nname="r"\ntier="huge"', "sends to tier 'huge'"),
        ("tiers = {}", "tiers: "),
        ("[cache", "is not valid TOML"),
        ('[tiers.a]\nmodel="m"\nprice_per_hour=-1', "tiers.a.price_per_hour: "),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(home: Path, text: str, reason: str) -> None:
    write(text)
    assert reason in refusal_of(home)


def test_a_variable_beats_the_file_and_leaves_its_neighbours(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("[cache]\nthreshold = 0.9\nttl_s = 60")
    monkeypatch.setenv("PENSTOCK_CACHE__THRESHOLD", "0.99")
    cache = load_settings(home).cache
    assert (cache.threshold, cache.ttl_s) == (0.99, 60)


def test_a_variable_may_change_one_price_and_leave_the_rest_of_the_tier(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[tiers.small]\nmodel = "m"\nprice_per_hour = 1')
    monkeypatch.setenv("PENSTOCK_TIERS__SMALL__PRICE_PER_HOUR", "2.5")
    monkeypatch.setenv("PENSTOCK_ROUTING__RULES", '[{"name": "all", "tier": "small"}]')
    tier = load_settings(home).tiers["small"]
    assert (tier.model, tier.price_per_hour) == ("m", Decimal("2.5"))


def test_an_unknown_variable_is_refused_with_the_nearest_setting(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_BROKER_URI", "redis://localhost")
    message = refusal_of(home)
    assert "PENSTOCK_BROKER_URI" in message
    assert "'broker_url'" in message


def test_an_unknown_key_in_a_section_of_a_variable_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_CACHE__TRESHOLD", "0.9")
    assert "did you mean 'threshold'?" in refusal_of(home)


def test_a_config_variable_that_names_no_file_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_CONFIG", "elsewhere.toml")
    assert "elsewhere.toml, which is no file" in refusal_of(home)


def test_the_running_stack_of_the_home_says_where_its_services_are(home: Path) -> None:
    home.mkdir()
    (home / "stack.json").write_text('{"broker_url": "redis://h/0", "ledger_url": "sqlite:///x"}')
    settings = load_settings(home)
    assert settings.broker_url.get_secret_value() == "redis://h/0"
    assert settings.ledger == "sqlite:///x"


def test_a_model_folder_in_the_file_starts_at_the_file(home: Path, tmp_path: Path) -> None:
    write(
        '[tiers.small]\nmodel = "./weights"\nprice_per_hour = 1\n'
        '[[routing.rules]]\nname="all"\ntier="small"'
    )
    assert load_settings(home).tiers["small"].model == str(tmp_path / "weights")


def test_settings_do_not_show_their_secrets() -> None:
    settings = Settings(broker_url="redis://:s3cret@h/0", ledger_url="postgresql://u:s3cret@h/d")  # type: ignore[arg-type]
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in settings.model_dump_json()
