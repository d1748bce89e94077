"""The store under bad luck: writers that die, writers at the same time, readers in between, a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from stored import AT, PROVENANCE, child, contents, finished, funding, perp, revised, rows

from btcflow.data.records import Records
from btcflow.data.store import Store

WRITER = """
    import random, time, warnings
    warnings.simplefilter("ignore")  # a fork beside the threads of numpy

    whole = {one.key: one for one in (perp("BTCUSDT", rows=1000), funding(rows=200))}

    def fetch(path, paces=6):
        \"\"\"A fetch that begins again at its begin, as it does after a kill.\"\"\"
        store = Store(path, now=lambda: AT)
        for pace in range(paces):
            for one in whole.values():
                size = len(one) // paces
                store.merge(rows(one, max(0, pace * size - 5), (pace + 1) * size), provenance=PROVENANCE)

    def in_a_fork(work):
        pid = os.fork()
        if pid == 0:
            work()
            os._exit(0)
        return pid

    def check(path):
        store = Store(path)
        for one in store.dataset() if path.exists() and any(path.glob("*/*/*/manifest.json")) else ():
            part = rows(whole[one.key], 0, len(one))
            assert one.content_hash() == part.content_hash()
            for vintage in store.vintages(one.key):
                store.read(one.key, content_sha256=vintage.content_sha256)
"""


def before_step(work: str, undone: str) -> str:
    """A script in which work is killed before its first change of a file, then before its second, until it is done."""
    return (
        WRITER
        + f"""
    def killed_before(step):
        seen = 0
        def watch(event, arguments):
            nonlocal seen
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in ("os.rename", "os.remove", "os.mkdir") or writes:
                if seen == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1
        sys.addaudithook(watch)

    root, step = Path(sys.argv[1]), 0
    while True:
        path = root / str(step)
        {undone}
        def work():
            killed_before(step)
            {work}
        _, status = os.waitpid(in_a_fork(work), 0)
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        step += 1
    """
    )


def leftovers(store: Path) -> list[str]:
    known = {one.file for entry in Store(store).entries() for one in Store(store).manifest(entry.key).chunks}
    return [name for name in contents(store) if Path(name).name not in {"manifest.json", *known}]


def test_a_merge_killed_before_any_change_of_a_file_leaves_the_old_or_the_new_series(tmp_path: Path) -> None:
    script = before_step(
        work="Store(path, now=lambda: AT).merge(revised(perp('BTCUSDT', rows=900), 10), provenance=PROVENANCE)",
        undone="Store(path, now=lambda: AT).merge(perp('BTCUSDT', rows=800), provenance=PROVENANCE)",
    )
    finished(child(script, tmp_path))
    clean, steps = tmp_path / "clean", sorted(tmp_path.iterdir(), key=lambda one: int(one.name))
    old, new = perp("BTCUSDT", rows=800), revised(perp("BTCUSDT", rows=900), 10)
    for one in (old, new):
        Store(clean, now=lambda: AT).merge(one, provenance=PROVENANCE)
    found = [state(path, old, new) for path in steps]
    assert len(found) > 6
    assert found == sorted(found), "the new series was there and went away again"
    assert found[0] == "1 old"
    assert found[-1] == "2 new"
    for path in steps:
        Store(path, now=lambda: AT).merge(new, provenance=PROVENANCE)
        assert contents(path) == contents(clean)


def state(path: Path, old: Records, new: Records) -> str:
    """Which of the two a store holds; both vintages are read where both are there."""
    store = Store(path)
    found = store.read(old.key).content_hash()
    store.read(old.key, content_sha256=old.content_hash())
    return {old.content_hash(): "1 old", new.content_hash(): "2 new"}[found]


def test_a_write_of_three_killed_before_any_change_leaves_each_series_old_or_new(tmp_path: Path) -> None:
    script = before_step(
        work="Store(path, now=lambda: AT).write_all([funding(seed=2), perp('BTCUSDT', seed=2), perp('NEW', seed=2)])",
        undone="Store(path, now=lambda: AT).write_all([funding(seed=1), perp('BTCUSDT', seed=1)])",
    )
    finished(child(script, tmp_path))
    after = (funding(seed=2), perp("BTCUSDT", seed=2), perp("NEW", seed=2))
    new = {one.key: one.content_hash() for one in after}
    old = {one.key: one.content_hash() for one in (funding(seed=1), perp("BTCUSDT", seed=1))}
    counts = []
    for path in sorted(tmp_path.iterdir(), key=lambda one: int(one.name)):
        found = {one.key: one.content_hash() for one in Store(path).dataset()}
        assert set(old) <= set(found)
        assert all(found[key] in (new[key], old.get(key)) for key in found)
        counts.append(sum(found[key] == new[key] for key in found))
        Store(path, now=lambda: AT).write_all(after)
        assert {one.key: one.content_hash() for one in Store(path).dataset()} == new
        assert leftovers(path) == []
    assert counts == sorted(counts)
    assert {*counts} == {0, 1, 2, 3}


@pytest.mark.parametrize("moments", [8, pytest.param(50, marks=pytest.mark.full)])
def test_a_fetch_killed_at_random_moments_and_resumed_gives_the_bytes_of_a_clean_one(
    tmp_path: Path, moments: int
) -> None:
    script = (
        WRITER
        + """
    root = Path(sys.argv[1])
    start = time.perf_counter()
    os.waitpid(in_a_fork(lambda: fetch(root / "clean")), 0)
    needed, draw = time.perf_counter() - start, random.Random(7)
    for moment in range(int(sys.argv[2])):
        path = root / str(moment)
        pid = in_a_fork(lambda: fetch(path))
        time.sleep(draw.uniform(0.02, 1.0) * needed)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        check(path)
        os.waitpid(in_a_fork(lambda: fetch(path)), 0)
    """
    )
    finished(child(script, tmp_path, moments))
    clean = contents(tmp_path / "clean")
    assert leftovers(tmp_path / "clean") == []
    for moment in range(moments):
        assert contents(tmp_path / str(moment)) == clean


def test_two_writers_at_once_lose_nothing_and_a_reader_always_finds_whole_series(tmp_path: Path) -> None:
    script = """
        name, odd = sys.argv[2], sys.argv[2] == "left"
        shared = perp("BTCUSDT", rows=800)
        for turn in range(8):
            store.write(perp(f"{name}{turn}"))
            store.write(funding(seed=turn))
            for part in range(3):
                row = (turn * 3 + part) * 2 + odd
                store.merge(rows(shared, row * 8, row * 8 + 8), provenance=PROVENANCE)
    """
    writers = [child(script, tmp_path, name) for name in ("left", "right")]
    reads = 0
    try:
        while any(one.poll() is None for one in writers):
            if any(tmp_path.glob("*/*/*/manifest.json")):
                for one in Store(tmp_path).dataset():
                    assert len(one) % 8 == 0 or len(one) == 6
                reads += 1
    finally:
        for one in writers:
            finished(one)
    assert reads > 3
    symbols = {entry.key.symbol for entry in Store(tmp_path).entries()}
    assert symbols == {"BTCUSDT", *(f"{name}{turn}" for name in ("left", "right") for turn in range(8))}
    shared = Store(tmp_path).read(perp("BTCUSDT").key)
    assert shared.content_hash() == rows(perp("BTCUSDT", rows=800), 0, 384).content_hash()
    assert len(Store(tmp_path).vintages(shared.key)) == 48
    assert leftovers(tmp_path) == [one for one in leftovers(tmp_path) if "history" in one]


def test_a_full_disk_refuses_a_merge_and_keeps_every_byte(tmp_path: Path) -> None:
    Store(tmp_path, now=lambda: AT).merge(perp("BTCUSDT", rows=40), provenance=PROVENANCE)
    before = contents(tmp_path)
    script = """
        import resource
        from btcflow.errors import StoreError
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        try:
            store.merge(perp("BTCUSDT", rows=4000), provenance=PROVENANCE)
        except StoreError as error:
            sys.exit(error.exit_code)
    """
    finished(child(script, tmp_path), code=74)
    assert contents(tmp_path) == before


def test_a_writer_waits_for_its_turn(tmp_path: Path) -> None:
    """The lock belongs to the process that holds it, and goes when it dies."""
    Store(tmp_path, now=lambda: AT).write(funding())
    script = """
        from btcflow.data import disk
        with disk.turn(store.path / ".lock"):
            print("held", file=sys.stderr, flush=True)
            signal.pause()
    """
    holder = child(script, tmp_path)
    waiting = None
    try:
        assert holder.stderr is not None
        assert holder.stderr.readline() == "held\n"
        assert len(Store(tmp_path).dataset()) == 1, "a reader waited for a writer"
        waiting = child("store.write(funding(rows=9))", tmp_path)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=1.5)
        assert len(Store(tmp_path).read(funding().key)) == 6
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate(timeout=60)
        if waiting is not None:
            finished(waiting)
    assert len(Store(tmp_path).read(funding().key)) == 9
