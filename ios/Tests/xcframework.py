"""Checks an XCFramework: xcframework.py ROOT OUT SLICE... has these slices and no others, each whole and as it says."""

import plistlib
import re
import sys
from pathlib import Path

root, out, *expected = sys.argv[1:]
package = (Path(root) / "Package.swift").read_text()
name = re.search(r'binaryTarget\(name: "(\w+)", path: "ios/(\w+)\.xcframework"\)', package)
assert name and name[1] == name[2], "Package.swift names no XCFramework"
name = name[1]
header = Path(root) / "bindings/swift" / name / f"{name}.h"
bindings = (Path(root) / "bindings/swift/NibbleFFI/NibbleFFI.swift").read_text()
assert f"import {name}\n" in bindings, f"the bindings import no {name}"


def plist(path):
    with open(path, "rb") as file:
        return plistlib.load(file)


made = Path(out) / f"{name}.xcframework"
info = plist(made / "Info.plist")
assert info["CFBundlePackageType"] == "XFWK" and info["XCFrameworkFormatVersion"] == "1.0", info
slices = {library["LibraryIdentifier"]: library for library in info["AvailableLibraries"]}
assert list(slices) == expected, list(slices)
assert {path.name for path in made.iterdir()} == {"Info.plist", *expected}, list(made.iterdir())

for identifier, library in slices.items():
    platform, architectures, *variant = identifier.split("-")
    assert library["SupportedPlatform"] == platform, library
    assert library.get("SupportedPlatformVariant") == (variant[0] if variant else None), library
    # x86_64 has an underscore of its own.
    assert library["SupportedArchitectures"] == re.findall("arm64|x86_64", architectures), library
    framework = made / identifier / library["LibraryPath"]
    assert framework.name == f"{name}.framework", framework
    assert (made / identifier / library["BinaryPath"]).samefile(framework / name), library
    assert (framework / name).stat().st_size > 0, framework
    assert (framework / f"Headers/{name}.h").read_bytes() == header.read_bytes(), framework
    modules = (framework / "Modules/module.modulemap").read_text()
    assert modules.startswith(f"framework module {name} {{"), modules
    assert re.findall(r'header "(.*)"', modules) == [f"{name}.h"], modules
    resources = framework / "Resources" if platform == "macos" else framework
    assert plist(resources / "PrivacyInfo.xcprivacy")["NSPrivacyTracking"] is False
    own = plist(resources / "Info.plist")
    system = {"ios": "iPhoneOS", "ios-simulator": "iPhoneSimulator", "macos": "MacOSX"}["-".join([platform, *variant])]
    assert own["CFBundleSupportedPlatforms"] == [system], own
    assert own["CFBundleExecutable"] == name and own["CFBundlePackageType"] == "FMWK", own
    assert re.fullmatch(r"\d+\.\d+\.\d+", own["CFBundleShortVersionString"]), own
    oldest = re.search(r"\.macOS\(\.v(\d+)\)" if platform == "macos" else r"\.iOS\(\.v(\d+)\)", package)
    key = "LSMinimumSystemVersion" if platform == "macos" else "MinimumOSVersion"
    assert own[key] == f"{oldest[1]}.0", own
