"""A Ground on which systemd is the first process: this machine's own, on a copy of its files.

What is written inside is kept in memory: it outlives a reboot of the box, not the box. Nothing
of this machine is touched but a control group below our own, which is removed again.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Self

import ground

SYSTEMD = Path("/lib/systemd/systemd")
STATE = Path("/var/lib/sbcctl")
RUN = Path("/run/sbcctl")
ROOTS = "/etc/box-ca.pem"

# The tree: this machine's files below, memory above, without what starts at this machine's boot.
_TREE = """
mount -t tmpfs -o mode=755 tmpfs {top}
cd {top}
mkdir up work root
mount -t overlay overlay -o lowerdir=/,upperdir=up,workdir=work root
cd root
rm -rf etc/systemd/system/*.wants etc/systemd/system/*.requires var/log/journal
rm -rf .{state} etc/systemd/system/sbcctl-*
echo 0123456789abcdef0123456789abcdef > etc/machine-id
# What empties /tmp at a boot has nothing to look for here.
for unit in tmpfiles-setup.service tmpfiles-clean.timer; do
  ln -s /dev/null etc/systemd/system/systemd-$unit
done
for shared in {folder} {read}; do mkdir -p .$shared; mount --bind $shared .$shared; done
for shared in {read}; do mount -o remount,bind,ro .$shared; done
echo
exec sleep 900
"""

# As a container's manager does it: /sys and /proc/sys are not ours to write.
_BOOT = """
cd {top}/root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
  touch dev/$name
  mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
pivot_root . mnt
umount -l /mnt
echo
exec env -i container=box {systemd} --log-target=journal
"""


def missing() -> str:
    """Say why systemd cannot be booted here; an empty string when it can."""
    if os.geteuid() != 0:
        return "booting systemd needs root"
    if not SYSTEMD.exists():
        return "systemd is not installed"
    if _cgroups() is None:
        return "no control groups of version 2"
    program = "mount -t tmpfs tmpfs /mnt && mount -t cgroup2 cgroup2 /mnt"
    words = ["unshare", "--mount", "--cgroup", "--net", "sh", "-c", program]
    return "" if subprocess.run(words, check=False).returncode == 0 else "nothing may be mounted"


def _cgroups() -> Path | None:
    """Where control groups of version 2 are mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


class Box(ground.Ground):
    """The machine; a context manager. State and run directory are the default ones, inside."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, None)
        self.state = STATE
        self.run_dir = RUN
        self._top = folder / "box"
        self._keeper: subprocess.Popen[bytes] | None = None
        groups = _cgroups()
        assert groups
        self._group = groups / f"sbcctl-box-{os.getpid()}"

    def __enter__(self) -> Self:
        self._top.mkdir()
        self._group.mkdir()
        read = shlex.join((str(ground.HERE.parent), sys.prefix))
        tree = _TREE.format(top=self._top, state=STATE, folder=self.folder, read=read)
        words = (*ground.TIED, "unshare", "--mount", "sh", "-ec", tree)
        self._keeper = subprocess.Popen(words, stdout=subprocess.PIPE)
        try:
            assert self._keeper.stdout
            assert self._keeper.stdout.readline() == b"\n"
            return super().__enter__()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        if self._holder:
            self.end()
        assert self._keeper
        assert self._keeper.stdout
        self._keeper.kill()
        self._keeper.wait()
        self._keeper.stdout.close()
        self._remove_group()

    def _hold(self, *argv: str) -> None:
        """Boot, in a control group of our own."""
        del argv
        assert self._keeper
        isolate = ("--mount", "--net", "--ipc", "--uts", "--pid", "--cgroup", "--fork")
        boot = _BOOT.format(top=self._top, systemd=SYSTEMD)
        inner = ("unshare", *isolate, "--kill-child", "sh", "-ec", boot)
        join = f"echo $$ > {self._group}/cgroup.procs; exec nsenter --target={self._keeper.pid}"
        super()._hold("sh", "-ec", f"{join} --mount --wd=/ -- {shlex.join(inner)}")
        self.wait_until(self._is_up, 30)

    def _is_up(self) -> bool:
        return self.run("systemctl", "is-system-running", code=None).stdout.strip() == "running"

    def settle(self) -> None:
        super().settle()
        self.run("cp", str(self.folder / "ca.pem"), ROOTS)

    def reboot(self) -> None:
        """Cut the power and boot again; the network is not there yet (settle)."""
        self.end()
        self._remove_group()
        self._group.mkdir()
        self._hold()

    def words(self, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-W", "error", "-m", "orchestrator.cli", *arguments)

    def write_site(self, *changes: tuple[str, str]) -> None:
        """Write site.yaml; the roots lie where Kamailio's user can read them."""
        super().write_site((f"{self.folder}/ca.pem", ROOTS), *changes)

    def _inside(self, argv: tuple[str, ...]) -> list[str]:
        where = ("--net", "--mount", "--pid", "--ipc", "--uts", "--cgroup")
        words = ("--", *argv)
        return [
            "nsenter",
            f"--target={self._init}",
            *where,
            f"--wdns={ground.HERE.parent}",
            *words,
        ]

    def _remove_group(self) -> None:
        """Control groups go from the inside out, once their processes are gone."""

        def gone() -> bool:
            groups = sorted(self._group.rglob("*/"), reverse=True)
            return not self._ran("rmdir", *map(str, (*groups, self._group)))

        self.wait_until(gone)

    @staticmethod
    def _ran(*argv: str) -> int:
        return subprocess.run(argv, check=False, stderr=subprocess.DEVNULL).returncode
