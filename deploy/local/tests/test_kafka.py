from pathlib import Path

import pytest

from launcher import kafka
from launcher.kafka import Kafka, TamperedJarsError, checksums, committed_checksums, verify


def test_every_committed_checksum_is_one() -> None:
    committed = committed_checksums()
    assert "kafka_2.13-4.1.0.jar" in committed
    assert all(len(digest) == 64 and int(digest, 16) >= 0 for digest in committed.values())


def test_the_right_jars_pass(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"a")
    verify(checksums(tmp_path), checksums(tmp_path))


@pytest.mark.parametrize("name", ["changed.jar", "missing.jar", "unknown.jar"])
def test_any_other_jar_is_refused_by_name_and_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(kafka, "KAFKA_JARS", tmp_path)
    for jar in ("changed.jar", "unknown.jar"):
        (tmp_path / jar).write_bytes(b"good")
    wanted = {"changed.jar": "0" * 64, "missing.jar": "1" * 64}
    with pytest.raises(TamperedJarsError, match=name):
        verify(checksums(tmp_path), wanted)
    assert not tmp_path.exists()


def test_the_broker_listens_on_loopback_and_makes_no_topics_by_itself(tmp_path: Path) -> None:
    written = Kafka(tmp_path, 1111, 2222).configuration()
    settings = dict(line.split("=", 1) for line in written.splitlines())
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222"
    assert settings["auto.create.topics.enable"] == "false"
    assert settings["log.dirs"] == str(tmp_path / "data")
