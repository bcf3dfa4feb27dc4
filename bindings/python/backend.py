"""Builds the wheel (PEP 517): what lies in `nibble/` beside this file, under what pyproject.toml says of it.

setuptools cannot tag a wheel for a system without having compiled something itself; this takes nothing but Python 3.11. `cargo xtask
wheel` puts the folder together: the package, the generated bindings, the library of the host and the licence. The same folder gives
the same bytes.
"""

import base64
import hashlib
import pathlib
import platform
import re
import sys
import tomllib
import zipfile

HERE = pathlib.Path(__file__).parent


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Makes the wheel and returns its name."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stem = f"{project['name']}-{project['version']}"
    tag = f"py3-none-{system_tag()}"
    info = f"{stem}.dist-info"
    files = {f"nibble/{path.name}": path.read_bytes() for path in sorted((HERE / "nibble").iterdir()) if path.is_file()}
    files |= {f"{info}/licenses/{name}": (HERE / name).read_bytes() for name in ["LICENSE", "NOTICE"]}
    files[f"{info}/METADATA"] = metadata(project).encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: nibble\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    files[f"{info}/RECORD"] = record(files, f"{info}/RECORD").encode()
    name = f"{stem}-{tag}.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            wheel.writestr(entry, content)
    return name


def metadata(project):
    fields = {
        "Metadata-Version": "2.4",
        "Name": project["name"],
        "Version": project["version"],
        "Summary": project["description"],
        "Requires-Python": project["requires-python"],
        "License-Expression": project["license"],
    }
    licenses = "License-File: LICENSE\nLicense-File: NOTICE\n"
    return "".join(f"{name}: {value}\n" for name, value in fields.items()) + licenses


def record(files, itself):
    """The list of files with their hashes, in which the list itself has none."""

    def digest(content):
        return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()

    lines = [f"{path},sha256={digest(content)},{len(content)}\n" for path, content in files.items()]
    return "".join(lines) + f"{itself},,\n"


def system_tag():
    """The systems that can load the library: on Linux, those with the C library that its symbols ask for."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return f"macosx_11_0_{machine}"
    if sys.platform == "win32":
        return f"win_{machine}"
    library = (HERE / "nibble/libnibble_ffi.so").read_bytes()
    minor = max((int(number) for number in re.findall(rb"GLIBC_2\.(\d+)", library)), default=17)
    return f"manylinux_2_{max(minor, 17)}_{machine}"
