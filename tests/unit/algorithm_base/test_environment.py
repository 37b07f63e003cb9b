"""The container's variables, encoded or plain."""

import base64

import pytest

from algorithm_base.environment import Container, Environment
from algorithm_base.errors import ContractError, SourceError

PLAIN = {
    "INPUT_FILE": "/mnt/io/input",
    "OUTPUT_FILE": "/mnt/io/output",
    "TOKEN_FILE": "/mnt/io/token",
    "INPUTS_FOLDER": "/mnt/io/inputs",
    "OUTPUTS_FOLDER": "/mnt/io/outputs",
    "HOST": "http://proxyserver",
    "PORT": "7654",
    "API_PATH": "",
    "USER_REQUESTED_DATABASE_LABELS": "default,scans",
    "DEFAULT_DATABASE_URI": "/mnt/sources/default",
    "DEFAULT_DATABASE_TYPE": "CSV",
    "SCANS_DATABASE_URI": "postgresql://reader:secret@proxyserver:5432/scans",
    "SCANS_DATABASE_TYPE": "sql",
    "SCANS_QUERY": "SELECT 'é' FROM scans",
    "SCANS_DB_PARAM_SCHEMA": "PASSWORD",
    "SCANS_PREPROCESSING": "[]",
}


def base32(value: str) -> str:
    return base64.b32encode(value.encode()).decode().replace("=", "!")


@pytest.fixture(params=["plain", "base32"])
def variables(request):
    return {name: base32(value) if request.param == "base32" else value for name, value in PLAIN.items()}


def test_everything_is_read_from_plain_and_encoded_variables(variables):
    container = Container.from_environment(Environment(variables))
    assert str(container.input_file) == "/mnt/io/input"
    assert str(container.outputs_folder) == "/mnt/io/outputs"
    assert container.proxy is not None
    assert container.proxy.url == "http://proxyserver:7654"
    assert list(container.sources) == ["default", "scans"]
    assert container.sources["default"].type == "csv"
    assert container.sources["scans"].query == "SELECT 'é' FROM scans"


def test_a_plain_value_that_is_legal_base32_is_not_corrupted(variables):
    scans = Container.from_environment(Environment(variables)).sources["scans"]
    assert scans.params == {"SCHEMA": "PASSWORD"}


def test_an_images_own_plain_variable_is_read_in_an_encoded_container():
    environment = Environment({"INPUT_FILE": base32("/in"), "MODEL": "/opt/model"})
    assert environment.get("MODEL") == "/opt/model"


def test_a_source_never_shows_its_password():
    container = Container.from_environment(Environment(PLAIN))
    assert "secret" not in repr(container)


@pytest.mark.parametrize("missing", ["INPUT_FILE", "OUTPUT_FILE"])
def test_a_missing_variable_is_named(missing):
    with pytest.raises(ContractError, match=f"variable {missing} is not set"):
        Container.from_environment(Environment({k: v for k, v in PLAIN.items() if k != missing}))


def test_a_requested_source_that_was_not_passed_is_named():
    with pytest.raises(ContractError, match="'scans' was asked for and not passed"):
        Container.from_environment(Environment({k: v for k, v in PLAIN.items() if k != "SCANS_DATABASE_URI"}))


def test_preprocessing_is_refused_not_ignored():
    with pytest.raises(SourceError, match="preprocessing"):
        Container.from_environment(Environment(PLAIN | {"DEFAULT_PREPROCESSING": '[{"function": "filter_range"}]'}))


def test_no_proxy_is_allowed_until_somebody_needs_it():
    container = Container.from_environment(Environment({"INPUT_FILE": "/i", "OUTPUT_FILE": "/o"}))
    assert container.proxy is None
    assert container.sources == {}
