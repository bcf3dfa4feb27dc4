#!/usr/bin/env bash
# Compares what a static library for Apple platforms calls with what the privacy manifest gives reasons for:
#
#     ios/check-privacy.sh LIB.a...
#
# Fails where a library makes a call of a category that the manifest does not have, or the manifest has a category that no library
# needs. The calls are those of Apple's "Describing use of required reason API"; those of UserDefaults and of the active keyboards
# are Objective-C, which Nibble has none of. Needs `nm`, or `llvm-nm`, that reads Mach-O.
set -euo pipefail

manifest=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/Sources/Nibble/PrivacyInfo.xcprivacy

fail() {
    echo "check-privacy.sh: $1" >&2
    exit 1
}

[ $# -ge 1 ] || fail "usage: check-privacy.sh LIB.a..."

calls() { # CATEGORY: its functions, as the linker sees them
    case $1 in
    FileTimestamp) echo '_getattrlist|_getattrlistbulk|_fgetattrlist|_getattrlistat|_stat|_fstat|_lstat|_fstatat' ;;
    SystemBootTime) echo '_mach_absolute_time' ;;
    DiskSpace) echo '_statfs|_fstatfs|_statvfs|_fstatvfs' ;;
    esac
}

undefined=
for library; do
    [ -f "$library" ] || fail "there is no file $library"
    found=
    for nm in llvm-nm nm $(compgen -c llvm-nm- | sort -r); do
        # A tool that does not read the format prints nothing.
        found=$("$nm" -u "$library" 2>/dev/null | sed -n 's/^ *U *//; /^_/p' || true)
        [ -z "$found" ] || break
    done
    [ -n "$found" ] || fail "no nm here reads $library; install LLVM, or give a library for an Apple platform"
    undefined="$undefined
$found"
done

outcome=0
for category in FileTimestamp SystemBootTime DiskSpace; do
    called=$(grep -Ex "($(calls $category))(\\\$INODE64)?" <<<"$undefined" | sort -u | tr '\n' ' ' || true)
    declared=$(grep -c "NSPrivacyAccessedAPICategory$category<" "$manifest" || true)
    if [ -n "$called" ] && [ "$declared" = 0 ]; then
        echo "$category: called (${called% }) and not in the manifest" >&2
        outcome=1
    elif [ -z "$called" ] && [ "$declared" != 0 ]; then
        echo "$category: in the manifest and not called" >&2
        outcome=1
    else
        echo "$category: ${called:-not called}"
    fi
done
exit $outcome
