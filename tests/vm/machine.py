# SPDX-License-Identifier: Apache-2.0
"""A virtual machine that boots a Debian kernel into a file system of our own, runs commands and powers off. It needs no hardware
help: QEMU emulates the CPU, so times mean nothing there."""

import gzip
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

MODULES = ("veth", "dummy", "sch_ingress", "cls_bpf", "act_bpf")
TOOLS = ("ip", "tc", "ping", "bpftool")


class Kernel:
    """A kernel unpacked from Debian's package, never installed."""

    def __init__(self, folder):
        self.folder = folder
        self.image = next((folder / "boot").glob("vmlinuz-*"))
        self.release = self.image.name.removeprefix("vmlinuz-")

    def modules(self):
        names = re.compile(rf"({'|'.join(MODULES)})\.ko(\.xz)?$")
        return [path for path in (self.folder / "lib/modules").rglob("*.ko*") if names.match(path.name)]


def package_of(version):
    """The newest package with a cloud kernel of the version, such as 6.1, among what apt offers."""
    listing = subprocess.run(["apt-cache", "show", "linux-image-cloud-amd64"], capture_output=True, text=True, check=True).stdout
    for match in re.finditer(r"^Depends: (linux-image-(\S+?)-cloud-amd64) \(= (\S+)\)", listing, re.M):
        if re.match(re.escape(version) + r"[.\-+]", match[2]):
            return match[1]
    raise SystemExit(f"vm: apt offers no linux-image-cloud-amd64 of version {version}: run apt-get update, or look at apt-cache show")


def fetch(version, folder):
    """Downloads and unpacks once."""
    done = folder / "boot"
    if not done.exists():
        package = package_of(version)
        print(f"==> unpacking {package}", flush=True)
        with tempfile.TemporaryDirectory(prefix="mapshift-vm-") as place:
            subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package], cwd=place, check=True, stdout=subprocess.DEVNULL)
            unpacked = pathlib.Path(place) / "unpacked"
            subprocess.run(["dpkg", "-x", next(pathlib.Path(place).glob("*.deb")), unpacked], check=True)
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(unpacked, folder, symlinks=True)
    return Kernel(folder)


def libraries(program):
    """What the dynamic linker would load, with itself."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return [pathlib.Path(path) for path in re.findall(r"(?:=> )?(/\S+) \(0x", out)]


class Root:
    """The machine's whole file system, built in a folder and packed."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("bin", "sbin", "proc", "sys", "dev", "tmp", "run", "vm/modules"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.program("/bin/busybox")
        self.program("/bin/sh")  # not busybox: its shell prefers its own ip to the real one
        for tool in TOOLS:
            path = shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")
            if path:
                self.program(path)
        init = folder / "init"
        shutil.copy(pathlib.Path(__file__).parent / "init.sh", init)
        init.chmod(0o755)

    def file(self, path, where=None):
        target = self.folder / str(where or path).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(path), target)

    def program(self, path):
        self.file(path)
        for library in libraries(path):
            self.file(library)

    def tree(self, path):
        shutil.copytree(path, self.folder / str(path).lstrip("/"), dirs_exist_ok=True)

    def text(self, path, text):
        (self.folder / path.lstrip("/")).write_text(text)

    def pack(self, archive):
        names = subprocess.run(["find", ".", "-print0"], cwd=self.folder, capture_output=True, check=True).stdout
        packed = subprocess.run(["cpio", "--null", "--create", "--format=newc", "--quiet"], cwd=self.folder, input=names, capture_output=True, check=True).stdout
        archive.write_bytes(gzip.compress(packed, 1))


def run(kernel, archive, serial, timeout, look, memory="3G"):
    """Boots, and waits for the end; `serial` gets all that the machine printed, and look() is called now and then. False when it did not
    end in time."""
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", memory, "-nographic", "-no-reboot",
               "-nic", "none", "-kernel", kernel.image, "-initrd", archive,
               "-append", "console=ttyS0 quiet panic=-1 oops=panic rdinit=/init random.trust_cpu=on lsm=bpf"]
    with open(serial, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            end = time.monotonic() + timeout
            while time.monotonic() < end:
                try:
                    process.wait(5)
                    return True
                except subprocess.TimeoutExpired:
                    look()
            return False
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
