"""Settings from flags, environment and file, and python -m service config."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_settings import SettingsError

from service import configuration
from service.configuration import gather, read_settings
from service.settings import Settings, near_miss, read_settings_file

PASSWORD = "correct-horse"  # noqa: S105


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "atttrack.toml"
    path.write_text('port = 9001\nk = 3\nschemes = ["rtsp"]\n')
    return path


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").touch()
    assert gather(["--config", f"{tmp_path}/empty.toml"]).model_copy(update={"config": None}) == Settings()


def test_flag_wins_over_environment_over_file_over_default(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [gather([f"--config={file}"]).port, Settings().port] == [9001, 8000]
    monkeypatch.setenv("ATTTRACK_CONFIG", str(file))
    assert (gather([]).port, gather([]).schemes) == (9001, ["rtsp"])
    monkeypatch.setenv("ATTTRACK_PORT", "9002")
    settings = gather(["-k", "4"])
    assert (settings.port, settings.k, settings.host) == (9002, 4, "127.0.0.1")
    assert gather(["--port", "9003"]).port == 9003


def test_show_tells_each_value_and_its_origin(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTTRACK_MODE", "naive")
    assert configuration.main(["show", "--config", str(file), "--host=localhost", "-k", "5", "--no-demo"]) == 0
    shown = capsys.readouterr().out
    for line in (
        "port = 9001  # file",
        "k = 5  # flag",
        'host = "localhost"  # flag',
        "demo = false  # flag",
        'mode = "naive"  # environment',
    ):
        assert line in shown.splitlines()
    assert "max_streams = 16  # default" in shown


def test_what_show_prints_is_a_settings_file(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--config", str(file), "--cameras", "rtsp://a/1,rtsp://b/2", "--media-dir", str(tmp_path)]
    configuration.main(["show", *flags])
    again = tmp_path / "again.toml"
    again.write_text(capsys.readouterr().out)
    assert gather(["--config", str(again)]) == gather(flags).model_copy(update={"config": again})


def test_show_keeps_secrets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ATTTRACK_API_KEY", PASSWORD * 4)
    monkeypatch.setenv("ATTTRACK_CAMERAS", f"rtsp://viewer:{PASSWORD}@10.0.0.1/live")
    configuration.main(["show"])
    shown = capsys.readouterr().out
    assert PASSWORD not in shown
    assert 'api_key = "***"  # environment' in shown
    assert "rtsp://***@10.0.0.1/live" in shown


@pytest.mark.parametrize("flag", [["--cameras", "rtsp://viewer:secret@10.0.0.1/live"], ["--cameras=rtsps://v@[::1]/x"]])
def test_camera_with_a_password_is_no_flag(flag: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(flag)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "ATTTRACK_CAMERAS" in told
    assert "secret" not in told
    assert read_settings(["--cameras", "rtsp://10.0.0.1/live@x"]).cameras == ["rtsp://10.0.0.1/live@x"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1\nmax_stream = 2", "'prot'; did you mean 'port'?"),
        ("zzzzzz = 1", "no setting 'zzzzzz'"),
        ('config = "other.toml"', "no setting 'config'"),
        ("port = ", "is no TOML"),
        ("port = 70000", "port: Input should be less"),
        ('k = "many"', "k: Input should be a valid integer"),
    ],
)
def test_a_mistake_in_the_file_is_told(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        configuration.main(["check", "--config", f"{tmp_path}/bad.toml"])
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert told in lines[0]
    assert len(lines) == len(text.splitlines())


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read the settings file .*nothing.toml"):
        read_settings_file(tmp_path / "nothing.toml")


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode)))
def test_no_bytes_make_the_file_reader_fail_otherwise_than_by_saying_so(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "x.toml"
    path.write_bytes(content)
    try:
        assert read_settings_file(path).keys() <= Settings.model_fields.keys()
    except SettingsError as error:
        assert "x.toml" in str(error)


@pytest.mark.parametrize(
    ("sink", "told"), [("http://broker", "sinks: "), ("mqtt://viewer:s3cret@broker?qos=9", "sinks: ")]
)
def test_a_sink_that_is_none_is_told_without_its_secrets(
    sink: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTTRACK_SINKS", sink)
    with pytest.raises(SystemExit) as ended:
        read_settings([])
    said = capsys.readouterr().err
    assert (ended.value.code, told in said, "s3cret" in said) == (2, True, False)


def test_an_unknown_variable_is_told_with_its_near_miss(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTTRACK_DATA", "/sequences")  # for tests and training
    assert read_settings([]).port == 8000
    monkeypatch.setenv("ATTTRACK_MEDIADIR", "/clips")
    with pytest.raises(SystemExit):
        read_settings([])
    assert "'ATTTRACK_MEDIADIR'; did you mean 'ATTTRACK_MEDIA_DIR'?" in capsys.readouterr().err


def test_an_unknown_flag_is_told_with_its_near_miss(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_settings(["--media-dri", "/clips"])
    assert "'--media-dri'; did you mean '--media-dir'?" in capsys.readouterr().err


def test_nothing_is_near_where_nothing_is_known() -> None:
    assert near_miss("port", []) == "'port'"


def test_check_says_that_all_is_right(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert configuration.main(["check", "--config", str(file)]) == 0
    assert f"right; file: {file}" in capsys.readouterr().out


def test_the_schema_knows_every_setting_of_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert configuration.main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["additionalProperties"] is False
    assert set(tomllib.loads(file.read_text())) < set(schema["properties"]) == set(Settings.model_fields) - {"config"}
