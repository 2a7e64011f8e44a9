"""The shared folder: private, and rid of what is old."""

import os
import stat
from pathlib import Path

import pytest

from progress_ws.demo.folder import KEPT_S, Folder, create
from progress_ws.errors import SettingsError


def test_the_folder_that_is_named_is_made(tmp_path: Path) -> None:
    folder = Folder.from_environ({"PROGRESS_WS_DEMO_DIR": str(tmp_path / "a" / "b")})
    assert folder.path == tmp_path / "a" / "b"
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert list(folder.path.iterdir()) == []


def test_without_a_name_everybody_has_a_folder_of_his_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = Folder.from_environ({})
    assert folder.path == tmp_path / f"progress-ws-demo-{os.getuid()}"
    folder.path.chmod(0o755)
    Folder.from_environ({})
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_a_name_in_a_public_folder_that_is_a_link_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"progress-ws-demo-{os.getuid()}").symlink_to(elsewhere)
    with pytest.raises(SettingsError, match="it belongs to somebody else"):
        Folder.from_environ({})


def test_what_is_no_folder_is_refused_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SettingsError, match=f"PROGRESS_WS_DEMO_DIR='{file}' is wrong: .*exists"):
        Folder.from_environ({"PROGRESS_WS_DEMO_DIR": str(file)})


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    job_id = folder.new_id()
    with create(folder.upload(job_id)) as file:
        file.write(b"secret")
    folder.write_report(job_id, "<p>\udcff")
    for path in (folder.upload(job_id), folder.report(job_id)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    folder.clear(job_id, keep_upload=True)
    assert folder.upload(job_id).exists()
    folder.clear(job_id)
    assert list(tmp_path.iterdir()) == [folder.report(job_id)]


def test_old_files_go_and_those_of_others_stay(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    old, new = folder.new_id(), folder.new_id()
    ends = ("html", "upload", "part", "kill", "retry.taken")
    paths = [tmp_path / f"{old}.{end}" for end in ends]
    others = [tmp_path / "notes.html", tmp_path / f"{old}.csv"]
    for path in (*paths, *others):
        path.touch()
        os.utime(path, (0, 0))
    recent = folder.report(new)
    recent.touch()
    just = recent.stat().st_mtime - KEPT_S + 60
    os.utime(recent, (just, just))
    folder.sweep()
    assert sorted(tmp_path.iterdir()) == sorted([*others, recent])
