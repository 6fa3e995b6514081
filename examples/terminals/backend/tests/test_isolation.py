"""The fence between the shells and the backend: what a shell may not do, behind each kind of fence."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Service, browser, needed, rights_can_be_dropped

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from app.shell_entry import landlock_version  # noqa: E402

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["user", "landlock"])
def fenced(request, start) -> Service:
    """A backend with each of the two fences. The one without rights chooses its own by itself."""
    if request.param == "user":
        if not ROOT:
            needed("root, to change users")
        return start()
    rights_can_be_dropped()
    if landlock_version() == 0:
        needed("Landlock")
    return start(rightless=True)


async def test_a_shell_reads_neither_the_database_nor_the_secret_nor_the_backend(fenced: Service) -> None:
    token = fenced.register("spy")
    pid = fenced.process.pid
    # The way to the volume is open to everybody, so that it is the fence that holds and not a folder above.
    for folder in [fenced.data, *fenced.data.parents]:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    async with browser(fenced, token) as page:
        terminal = await page.open()
        for secret in (
            fenced.data / "db" / "app.db",
            fenced.data / "secret" / "jwt.key",
            f"/proc/{pid}/environ",
            f"/proc/{pid}/mem",
            f"/proc/{pid}/root/etc/hostname",
        ):
            said = await page.run(terminal, f"head -c 10 {secret} >/dev/null && echo read")
            assert "Permission denied" in said and "read\n" not in said, said
        assert "denied" in await page.run(terminal, f"touch {fenced.data}/db/x")
        assert "denied" in await page.run(terminal, f"cat /proc/{pid}/fd/1")


async def test_a_shell_does_not_signal_the_backend(fenced: Service) -> None:
    if landlock_version() < 6:
        needed("Landlock 6")
    async with browser(fenced, fenced.register("killer")) as page:
        terminal = await page.open()
        assert "not permitted" in await page.run(terminal, f"kill -9 {fenced.process.pid}")
    assert fenced.process.poll() is None


async def test_one_users_shell_reaches_nothing_of_anothers(fenced: Service) -> None:
    tokens = fenced.register("alice"), fenced.register("mallory")
    async with browser(fenced, tokens[0]) as alice, browser(fenced, tokens[1]) as mallory:
        hers, his = await alice.open(), await mallory.open()
        await alice.run(hers, "echo mine > ~/diary")
        home, device, pid = (await alice.run(hers, "echo ~ $(tty) $$")).split()
        assert "denied" in await mallory.run(his, f"cat {home}/diary")
        assert "denied" in await mallory.run(his, f"echo hello > {device}")
        assert "denied" in await mallory.run(his, f"cat /proc/{pid}/environ")
        if landlock_version() >= 6:
            assert "not permitted" in await mallory.run(his, f"kill -9 {pid}")
        assert await alice.run(hers, "cat ~/diary") == "mine"


async def test_an_account_finds_its_files_again(fenced: Service) -> None:
    token = fenced.register("alice")
    async with browser(fenced, token) as page:
        await page.run(await page.open(), "echo kept > ~/note")
    async with browser(fenced, token) as page:
        assert await page.run(await page.open(), "cat ~/note; touch $TMPDIR/x && echo writes") == "kept\r\nwrites"


async def test_ordinary_programs_work(fenced: Service) -> None:
    async with browser(fenced, fenced.register("worker")) as page:
        terminal = await page.open()
        assert await page.run(terminal, "echo a | tr a b > ~/x; sort < ~/x; rm ~/x; ls /usr | grep -c ^bin") == "b\r\n1"
        assert await page.run(terminal, "ps -o pid= -p $$ | wc -l; head -c 3 /dev/urandom | wc -c") == "1\r\n3"


async def test_a_folder_that_somebody_else_made_is_nobodys_home(start, tmp_path: Path) -> None:
    homes = tmp_path / "homes"
    homes.mkdir()
    homes.chmod(0o1777)
    (homes / "home-1").symlink_to(tmp_path)
    (homes / "home-2").mkdir(mode=0o777)
    (homes / "home-2").chmod(0o777)
    service = start(SHELL_HOME=str(homes), SHELL_ISOLATION="none")
    for name, planted in [("first", "home-1"), ("second", "home-2")]:
        async with browser(service, service.register(name)) as page:
            home = await page.run(await page.open(), "stat -c '%n %a' ~")
        assert home.startswith(f"{homes}/home-") and home.endswith(" 700")
        assert f"{homes}/{planted} " not in home


async def test_no_shell_is_started_without_a_fence(start) -> None:
    rights_can_be_dropped()
    service = start(rightless=True, SHELL_ISOLATION="user")
    async with browser(service, service.register("alice")) as page:
        error = await page.refused("create_terminal", {})
    assert error["code"] == "no_isolation"
    assert "CAP_KILL, CAP_SETGID, CAP_SETUID missing" in error["message"]
    assert "no shell is started" in service.text()


async def test_no_fence_is_had_by_asking_for_none_with_a_warning(start) -> None:
    service = start(SHELL_ISOLATION="none")
    async with browser(service, service.register("alice")) as page:
        assert await page.run(await page.open(), "id -u") == str(os.geteuid())
    assert "every shell can read the database and the secret" in service.text()
