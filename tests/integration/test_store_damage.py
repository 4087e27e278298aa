"""What the store makes of a file that is damaged, foreign, newer or in use."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from responder.domain.audit import AuditHead
from responder.domain.errors import ConfigError, StoreUnavailable
from responder.domain.mode import ModeSettings
from responder.domain.rule import Mode
from responder.store import audit, migrate, modes
from responder.store.store import Connection, Store

T0 = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
RECORDS = 40

_WRITE_AND_DIE = """
import asyncio, os, sys
from datetime import UTC, datetime
from responder.store import audit
from responder.store.store import Store

async def main():
    store = Store.open(sys.argv[1])
    for _ in range(int(sys.argv[2])):
        await store.write(lambda con: audit.append(con, at=datetime.now(UTC), actor="t", event="e", detail="x" * 300))
    os._exit(0)

asyncio.run(main())
"""
_HOLD = """
import sys, duckdb
con = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
con.close()
"""
_OPEN_AND_DIE = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from responder.store.store import Store

left = int(sys.argv[2])

def counted(call):
    def instead(*given, **named):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return call(*given, **named)
    return instead

os.fsync, os.fdatasync, os.rename = counted(os.fsync), counted(os.fdatasync), counted(os.rename)
Store.open(sys.argv[1], clock=counted(lambda: datetime(2026, 3, 1, tzinfo=UTC)))
os._exit(0)
"""
_ENV = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose records are partly in its file and partly in its log, as a crash leaves it."""
    path = tmp_path_factory.mktemp("crashed") / "clopus.duckdb"
    with Store.open(path):
        pass
    subprocess.run([sys.executable, "-c", _WRITE_AND_DIE, str(path), "20"], check=True, env=_ENV, timeout=60)
    with Store.open(path):
        pass
    subprocess.run([sys.executable, "-c", _WRITE_AND_DIE, str(path), "20"], check=True, env=_ENV, timeout=60)
    assert path.with_name("clopus.duckdb.wal").stat().st_size > 1000
    return path


@pytest.fixture
def path(crashed: Path, tmp_path: Path) -> Path:
    for file in crashed.parent.iterdir():
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / crashed.name


def wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def head(path: Path) -> Path:
    return path.with_name(path.name + ".head")


def flip(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 0x55
    file.write_bytes(content)


def prints(directory: Path) -> dict[str, str]:
    return {
        f.name: hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(directory.iterdir())
        if f.is_file() and not f.name.endswith(".head")
    }


def as_sqlite(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.close()


async def test_sound_file_after_a_crash_has_everything(path: Path) -> None:
    with Store.open(path) as store:
        assert (store.quarantined, store.lost_tail) == (None, False)
        assert (await store.read(audit.head)).seq == RECORDS


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty database": lambda p: p.write_bytes(b""),
    "text in place of the database": lambda p: p.write_text("hello\n" * 5000),
    "five bytes": lambda p: p.write_bytes(b"hello"),
    "sqlite in place of the database": as_sqlite,
    "database cut short": lambda p: p.write_bytes(p.read_bytes()[:5000]),
    "database cut in the middle": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "flipped byte in the first header": lambda p: flip(p, 40),
    "flipped byte in both headers": lambda p: (flip(p, 4096 + 30), flip(p, 8192 + 30)),
    "flipped byte in a block": lambda p: flip(p, 3 * 4096 + 1000),
    "flipped byte in the log": lambda p: flip(wal(p), wal(p).read_bytes().rfind(b"xxxx")),
    "database gone, log there": lambda p: p.unlink(),
}


@pytest.mark.inv(15)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_damaged_file_is_moved_aside_and_the_new_chain_says_so(
    path: Path, damage: Callable[[Path], object]
) -> None:
    damage(path)
    before = prints(path.parent)
    with Store.open(path, clock=lambda: T0) as store:
        assert store.quarantined == path.with_name("clopus.duckdb.damaged-20260301T123000Z")
        (first,) = await store.read(lambda con: tuple(audit.records(con)))
        assert (first.seq, first.event, first.at) == (1, "database_quarantined", T0)
        assert first.detail["moved_to"] == str(store.quarantined)
        assert first.detail["remembered"]["seq"] == RECORDS
        assert first.detail["problem"]
        await store.write(lambda con: audit.append(con, at=T0, actor="t", event="goes_on"))
    after = prints(path.parent)
    for name, digest in before.items():
        assert after[name.replace("clopus.duckdb", "clopus.duckdb.damaged-20260301T123000Z")] == digest
    with Store.open(path) as store:
        assert (store.quarantined, store.lost_tail) == (None, False)


@pytest.mark.inv(15)
def test_second_damage_in_one_second_gets_a_name_of_its_own(path: Path) -> None:
    places = []
    for _ in range(2):
        path.write_bytes(b"")
        with Store.open(path, clock=lambda: T0) as store:
            places.append(store.quarantined)
    assert places[1] == path.with_name("clopus.duckdb.damaged-20260301T123000Z-2")
    assert all(place is not None and place.exists() for place in places)


@pytest.mark.inv(15, 16)
def test_any_flipped_byte_leads_to_a_start_and_never_to_a_silent_loss(path: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    for number in range(25):
        place = tmp_path / f"round-{number}"
        place.mkdir()
        for file in (path, wal(path), head(path)):
            shutil.copy(file, place / file.name)
        target = place / path.name
        victim = wal(target) if number % 2 else target
        flip(victim, chance.randrange(victim.stat().st_size))
        with Store.open(target) as store:
            (seq,) = _query(store, "SELECT max(seq) FROM audit")
            assert seq >= RECORDS or store.quarantined or store.lost_tail


LOSSES: dict[str, Callable[[Path], object]] = {
    "log cut short": lambda p: wal(p).write_bytes(wal(p).read_bytes()[:-700]),
    "log gone": lambda p: wal(p).unlink(),
    "log replaced by garbage": lambda p: wal(p).write_bytes(random.Random(1).randbytes(4000)),
    "database and log gone": lambda p: (p.unlink(), wal(p).unlink()),
    "older copy of the database": lambda p: (wal(p).unlink(), _cut(p)),
    "head gone": lambda p: head(p).unlink(),
    "head unreadable": lambda p: head(p).write_text("###"),
}


@pytest.mark.inv(16)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
async def test_lost_tail_is_seen_and_put_on_record(path: Path, loss: Callable[[Path], object]) -> None:
    loss(path)
    with Store.open(path) as store:
        assert (store.lost_tail, store.quarantined) == (True, None)
        last = (await store.read(audit.page))[0]
        assert last.event == "database_tail_lost"
        assert (await store.read(lambda con: audit.verify(con, store.remembered_head()))).ok
    with Store.open(path) as store:
        assert not store.lost_tail


@pytest.mark.inv(16)
def test_log_cut_at_any_place_is_noticed(path: Path, tmp_path: Path) -> None:
    chance, size = random.Random(3), wal(path).stat().st_size
    for number in range(20):
        place = tmp_path / f"round-{number}"
        place.mkdir()
        for file in (path, wal(path), head(path)):
            shutil.copy(file, place / file.name)
        target = place / path.name
        os.truncate(wal(target), chance.randrange(size - 10))
        with Store.open(target) as store:
            assert store.lost_tail or store.quarantined


REASONS_FOR_REPORT_MODE: dict[str, Callable[[Path], object]] = {
    "log gone": lambda p: wal(p).unlink(),
    "database and log gone": lambda p: (p.unlink(), wal(p).unlink()),
    "database damaged": lambda p: p.write_bytes(b""),
    "database damaged, head gone": lambda p: (p.write_bytes(b""), head(p).unlink()),
}


@pytest.mark.inv(16)
@pytest.mark.parametrize("damage", REASONS_FOR_REPORT_MODE.values(), ids=REASONS_FOR_REPORT_MODE.keys())
def test_report_mode_is_stored_with_the_damage(path: Path, damage: Callable[[Path], object]) -> None:
    damage(path)
    Store.open(path).close()
    with Store.open(path) as store:
        brakes = _brakes(store)
        assert (store.lost_tail, store.quarantined) == (False, None)
        assert (brakes.ceiling, brakes.set_by) == (Mode.REPORT, "clopus")
        assert "database" in brakes.reason


@pytest.mark.inv(16)
def test_report_mode_after_a_lost_tail_leaves_the_kill_switch_pulled(path: Path) -> None:
    with Store.open(path) as store:
        _set(store, ModeSettings(kill_switch=True))
    subprocess.run([sys.executable, "-c", _WRITE_AND_DIE, str(path), "2"], check=True, env=_ENV, timeout=60)
    wal(path).unlink()
    with Store.open(path) as store:
        brakes = _brakes(store)
        assert (brakes.ceiling, brakes.kill_switch) == (Mode.REPORT, True)


@pytest.mark.inv(15, 16)
@pytest.mark.parametrize("damage", REASONS_FOR_REPORT_MODE.values(), ids=REASONS_FOR_REPORT_MODE.keys())
def test_start_that_is_killed_anywhere_after_damage_leaves_report_mode_to_the_next(
    path: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    damage(path)
    calls, ended = 0, 9
    while ended == 9:
        place = tmp_path / f"killed-before-call-{calls}"
        place.mkdir()
        for file in (path, wal(path), head(path)):
            if file.exists():
                shutil.copy(file, place / file.name)
        target = place / path.name
        command = [sys.executable, "-c", _OPEN_AND_DIE, str(target), str(calls)]
        ended = subprocess.run(command, check=False, env=_ENV, timeout=60).returncode
        with Store.open(target) as store:
            assert _brakes(store).ceiling is Mode.REPORT, f"killed before call {calls}"
        calls += 1
    assert (ended, calls > 3) == (0, True)


def test_file_held_by_another_process_is_left_alone(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        before = prints(path.parent)
        with pytest.raises(StoreUnavailable, match=f"PID {holder.pid}"):
            Store.open(path)
        assert prints(path.parent) == before
        holder.stdin.close()
    with Store.open(path) as store:
        assert (store.quarantined, store.lost_tail) == (None, False)


def test_second_store_on_the_same_file_is_refused(path: Path) -> None:
    with Store.open(path), pytest.raises(StoreUnavailable, match="in use"):
        Store.open(path)
    Store.open(path).close()


def test_schema_of_a_newer_release_is_refused_untouched(path: Path) -> None:
    with duckdb.connect(str(path)) as con:
        con.execute("INSERT INTO schema_migrations VALUES (9999, 'later', 'x', now()::TIMESTAMP)")
    wal_is_back = subprocess.run([sys.executable, "-c", _LEAVE_WAL, str(path)], check=True, env=_ENV, timeout=60)
    assert wal_is_back.returncode == 0
    before = prints(path.parent)
    with pytest.raises(ConfigError, match=r"9999.*start the newer release again"):
        Store.open(path)
    assert prints(path.parent) == before


_LEAVE_WAL = """
import os, sys, duckdb
con = duckdb.connect(sys.argv[1])
con.execute("CREATE TABLE later (a INTEGER)")
os._exit(0)
"""


def test_migration_that_was_altered_is_refused(path: Path) -> None:
    with duckdb.connect(str(path)) as con:
        con.execute("UPDATE schema_migrations SET checksum = 'other' WHERE version = 1")
    with pytest.raises(ConfigError, match="another wording"):
        Store.open(path)


def test_duckdb_file_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "sales.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE sales (amount INTEGER)")
    before = prints(tmp_path)
    with pytest.raises(ConfigError, match="another program"):
        Store.open(path)
    assert prints(tmp_path) == before


def test_missing_directory_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        Store.open(tmp_path / "none" / "clopus.duckdb")


def test_older_database_is_migrated_and_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clopus.duckdb"
    every = migrate.shipped()
    with monkeypatch.context() as older:
        older.setattr(migrate, "shipped", lambda: every[:1])
        Store.open(path).close()
    with Store.open(path) as store:
        assert _query(store, "SELECT count(*) FROM schema_migrations") == (len(every),)
        assert _query(store, "SELECT count(*) FROM v_incidents") == (0,)


def test_head_file_names_the_last_record(path: Path) -> None:
    seq, digest = json.loads(head(path).read_text())
    assert (seq, len(digest)) == (RECORDS, 64)
    assert AuditHead(seq=seq, digest=digest) != AuditHead()


def _brakes(store: Store) -> ModeSettings:
    return asyncio.run(store.read(modes.get))


def _set(store: Store, brakes: ModeSettings) -> None:
    async def write() -> None:
        await store.write(lambda con: modes.put(con, brakes))

    asyncio.run(write())


def _query(store: Store, sql: str) -> tuple[int, ...]:
    def ask(con: Connection) -> tuple[int, ...]:
        row = con.execute(sql).fetchone()
        assert row is not None
        return row

    return asyncio.run(store.read(ask))


def _cut(path: Path) -> None:
    with duckdb.connect(str(path)) as con:
        con.execute("DELETE FROM audit WHERE seq > 10")
