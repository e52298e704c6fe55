"""Settings: each wrong one causes one line that names it and gives the allowed values."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.exceptions import ConfigValidationError

from tap_msghistory.config import validation
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.errors import TapError
from tap_msghistory.tap import TapMessageHistory
from tests.support import LEDGER, REJECTED, ROOT

GOOD = {"start_date": "2024-01-01", "edna_api_key": "key"}
SECRET = "CANARY-7f3"

WRONG = [
    ("start_date", "2024-13-01"),
    ("start_date", "yesterday"),
    ("start_date", "0001-01-01"),
    ("lookback", "P999999D"),
    ("request_timeout", "nan"),
    ("start_date", "now"),
    ("start_date", "P1D"),
    ("end_date", "2023-12-31"),
    ("end_date", 20240101),
    ("revisit_after", ["1 hour"]),
    ("revisit_after", ["PT0S"]),
    ("revisit_after", ["P1M"]),
    ("revisit_after", "PT1H"),
    ("lookback", "7"),
    ("visibility_lag", "P1Y"),
    ("page_size", 0),
    ("page_size", 1001),
    ("page_size", "many"),
    ("concurrency", 33),
    ("request_timeout", 0),
    ("max_retry_seconds", -1),
    ("edna_requests_per_second", 0),
    ("partner_gateway_requests_per_minute", -5),
    ("assume_timezone", "Mars/Olympus"),
    ("edna_direction", "UP"),
    ("edna_traffic_types", ["SPAM"]),
    ("edna_channel_types", "SMS"),
    ("edna_subject_id", "acme"),
    ("edna_subscriber_type", "FAX"),
    ("partner_gateway_status", "LOST"),
    ("edna_base_url", "app.edna.io"),
    ("edna_base_url", "http://app.edna.io"),
    ("edna_base_url", " https://app.edna.io"),
    ("edna_base_url", "https://user:pass@app.edna.io"),
    ("partner_gateway_base_url", "http://127.0.0.1.example.com"),
    ("edna_api_key", "key\n"),
    ("edna_api_key", 1234),
]


def errors(**settings):
    try:
        TapMessageHistory(config={**GOOD, **settings})
    except ConfigValidationError as error:
        return error.errors
    return []


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_setting_is_named_in_one_line(name, value):
    (line,) = errors(**{name: value})
    assert line.startswith(f"Setting {name} must")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"start_date": None}, "start_date"),
        ({"edna_api_key": ""}, "edna_api_key"),
        ({"edna_message_id": 7}, "edna_direction"),
        ({"edna_traffic_types": ["AD"], "edna_direction": "IN"}, "edna_traffic_types"),
        ({"edna_subscriber_address": "35000000000"}, "edna_subscriber_type"),
        ({"edna_subscriber_type": "PHONE"}, "edna_subscriber_address"),
        ({"partner_gateway_username": "user"}, "partner_gateway_password"),
        ({"partner_gateway_password": "pass"}, "partner_gateway_username"),
    ],
)
def test_missing_and_conflicting_settings_are_named(settings, named):
    (line,) = errors(**settings)
    assert line.startswith(f"Setting {named} ")


def test_all_wrong_settings_are_reported_together():
    assert len(errors(page_size=0, lookback="x", edna_direction="UP")) == 3


@given(st.sampled_from(sorted(SETTINGS["properties"])), st.sampled_from([SECRET, [SECRET], {SECRET: 1}]))
def test_no_error_quotes_a_value(name, value):
    assert SECRET not in "".join(errors(**{name: value}))


def test_valid_settings_are_accepted():
    assert errors() == []
    assert (
        errors(
            start_date="2024-01-01T08:00:00+02:00",
            end_date="2024-02-01T00:00",
            revisit_after=[],
            lookback="P2W",
            edna_base_url="http://[::1]:8000",
            partner_gateway_base_url="http://localhost:8000/api",
            edna_message_id=7,
            edna_direction="OUT",
        )
        == []
    )


def test_numbers_may_be_text_and_empty_means_unset():
    tap = TapMessageHistory(
        config={**GOOD, "page_size": "250", "request_timeout": "2.5", "edna_direction": ""}
    )
    assert (tap.config["page_size"], tap.config["request_timeout"]) == (250, 2.5)
    assert "edna_direction" not in tap.config


def test_environment_variables_are_settings(monkeypatch):
    monkeypatch.setenv("TAP_MSGHISTORY_START_DATE", "2024-05-01")
    monkeypatch.setenv("TAP_MSGHISTORY_PARTNER_GATEWAY_REQUESTS_PER_SECOND", "9.5")
    monkeypatch.setenv("TAP_MSGHISTORY_REVISIT_AFTER", '["PT2H"]')
    tap = TapMessageHistory(config={"edna_api_key": "key"}, parse_env_config=True)
    assert tap.config["partner_gateway_requests_per_second"] == 9.5
    assert tap.config["revisit_after"] == ["PT2H"]


def test_suspicious_settings_cause_warnings(caplog):
    TapMessageHistory(config={**GOOD, "page_sise": 5, "edna_channel_types": ["SMS", "PIGEON"]})
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("page_sise" in warning and "page_size" in warning for warning in warnings)
    assert any("PIGEON" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("credentials", "streams"),
    [
        ({}, 4),
        ({"edna_api_key": "key"}, 1),
        ({"partner_gateway_api_key": "key"}, 3),
        ({"partner_gateway_username": "user", "partner_gateway_password": "pass"}, 3),
        ({"edna_api_key": "key", "partner_gateway_api_key": "key"}, 4),
    ],
)
def test_a_vendors_credentials_enable_its_streams(credentials, streams):
    tap = TapMessageHistory(config=credentials, validate_config=False)
    by_default = [name for name, stream in tap.streams.items() if stream.selected_by_default]
    assert len(by_default) == streams + len([REJECTED, LEDGER])


def test_every_setting_is_described():
    for name, declaration in SETTINGS["properties"].items():
        assert declaration["description"], name
        assert declaration["title"], name
        assert bool(declaration.get("secret")) == name.endswith(("_api_key", "_password")), name


def test_every_setting_is_in_meltano_yml():
    (extractor,) = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]["extractors"]
    declared = {setting["name"]: setting for setting in extractor["settings"]}
    for name, declaration in SETTINGS["properties"].items():
        assert declared[name]["description"] == declaration["description"], name
        assert bool(declared[name].get("sensitive")) == bool(declaration.get("secret")), name


def test_the_settings_schema_is_json_with_defaults():
    assert json.loads(json.dumps(SETTINGS)) == SETTINGS
    assert validation.with_defaults({}, SETTINGS)["page_size"] == 1000


@pytest.mark.parametrize("name", ["EDNA_CHANNEL_TYPES", "REVISIT_AFTER", "STREAM_MAPS", "BATCH_CONFIG"])
def test_an_empty_variable_is_an_unset_setting(monkeypatch, name):
    monkeypatch.setenv(f"TAP_MSGHISTORY_{name}", " ")
    tap = TapMessageHistory(config=GOOD, parse_env_config=True)
    assert tap.config.get(name.lower()) == TapMessageHistory(config=GOOD).config.get(name.lower())


def test_an_invalid_boolean_in_the_environment_is_reported(monkeypatch):
    monkeypatch.setenv("TAP_MSGHISTORY_OBJECTS_AS_JSON", "nonsense")
    with pytest.raises(ConfigValidationError) as caught:
        TapMessageHistory(config=GOOD, parse_env_config=True)
    assert caught.value.errors == ["Setting objects_as_json must be true or false"]


def test_an_object_in_the_environment_must_be_json(monkeypatch):
    monkeypatch.setenv("TAP_MSGHISTORY_STREAM_MAPS", "{")
    with pytest.raises(TapError, match="TAP_MSGHISTORY_STREAM_MAPS must contain JSON"):
        TapMessageHistory(config=GOOD, parse_env_config=True)


@pytest.mark.parametrize("config", [{"hash_salt": " "}, {"hash_salt": None}, {"a": {"salt": ""}}])
def test_a_blank_salt_is_refused(config):
    with pytest.raises(ConfigValidationError) as caught:
        TapMessageHistory(config={**GOOD, "stream_map_config": config})
    assert "stream_map_config" in str(caught.value.errors)
