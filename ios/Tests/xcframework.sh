#!/usr/bin/env bash
# Tests ios/make-xcframework.sh with made-up libraries: a few bytes that say for which platform they are. Needs Python, to read
# the property lists; runs on Linux and on a Mac.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

make() {
    "$root/ios/make-xcframework.sh" "$@"
}

fail() {
    echo "xcframework.sh: $1" >&2
    exit 1
}

little_endian() { # NUMBER...
    local number
    for number; do
        printf "\\$(printf %03o $((number & 255)))\\$(printf %03o $((number >> 8 & 255)))"
        printf "\\$(printf %03o $((number >> 16 & 255)))\\$(printf %03o $((number >> 24 & 255)))"
    done
}

# A Mach-O object of one load command, LC_BUILD_VERSION.
object() { # CPU PLATFORM
    little_endian 0xfeedfacf "$1" 0 1 1 24 0 0
    little_endian 0x32 24 "$2" 0x000f0000 0 0
}

member() { # NAME FILE
    printf '%-16s%-12s%-6s%-6s%-8s%-10s`\n' "$1" 0 0 0 644 "$(wc -c <"$2" | tr -d ' ')"
    cat "$2"
}

library() { # FILE CPU PLATFORM
    object "$2" "$3" >object
    { printf 'long-name-of-an-object.o' && cat object; } >long
    printf '!<arch>\n' >"$1"
    member '#1/24' long >>"$1"
}

arm=0x0100000c intel=0x01000007
# What comes before the object says nothing, and its length is odd: an archive fills that up.
library object.a $arm 2
printf odd >plain
{ printf '!<arch>\n' && member plain plain && echo && tail -c +9 object.a; } >device.a
library simulator.a $arm 7
library simulator-intel.a $intel 7
library mac.a $arm 1
library watch.a $arm 4

# ---- What cannot be is refused, in words, and leaves nothing. ----

refused() { # WORDS ARGUMENT...
    local words=$1
    shift
    ! make "$@" >said 2>&1 || fail "$* was taken"
    grep -qF -- "$words" said || fail "$* said: $(cat said)"
    [ -z "$(ls -A out 2>/dev/null)" ] || fail "$* left something: $(ls -A out)"
}

printf 'no archive, only text\n' >text.a
printf '!<arch>\n%-48s%-10s`\n' name/ nonsense >damaged.a
printf '!<arch>\n' >empty.a
refused usage
refused usage out
refused 'there is no file gone.a' out gone.a
refused 'text.a is no static library' out text.a
refused 'damaged.a is a damaged archive' out damaged.a
refused 'empty.a has no object' out empty.a
refused 'watch.a has no object' out watch.a
refused 'both for ios arm64' out device.a device.a

# ---- What can be. ----

make out device.a simulator.a >said
[ "$(cat said)" = out/CNibble.xcframework ] || fail "it said: $(cat said)"
python3 "$root/ios/Tests/xcframework.py" "$root" out ios-arm64 ios-arm64-simulator

cmp -s device.a out/CNibble.xcframework/ios-arm64/CNibble.framework/CNibble || fail 'the library of the device is another'

# Another takes its place, whole; what cannot be made leaves it as it is.
make out device.a simulator-intel.a mac.a simulator.a >said
python3 "$root/ios/Tests/xcframework.py" "$root" out ios-arm64 ios-arm64_x86_64-simulator macos-arm64
joined=out/CNibble.xcframework/ios-arm64_x86_64-simulator/CNibble.framework/CNibble
universal=cafebabe00000002
for library in simulator.a:0100000c00000000 simulator-intel.a:0100000700000003; do
    content=${library%:*}
    # The place of the second one: what is before it fills up pages of 16 KiB.
    [ "$content" = simulator.a ] && place=16384 || place=32768
    size=$(wc -c <"$content")
    universal=$universal${library#*:}$(printf %08x%08x%08x $place "$size" 14)
    # Where `head` has enough, `tail` ends by a signal, which is no failure.
    cmp -s "$content" <(tail -c +$((place + 1)) "$joined" | head -c "$size") || fail "$content is not in the universal library"
done
[ "$(od -An -v -tx1 -N 48 "$joined" | tr -d ' \n')" = "$universal" ] || fail 'the simulator has no universal library'
! make out device.a text.a >said 2>&1 || fail 'text was taken'
[ "$(ls -A out)" = CNibble.xcframework ] || fail "there is more than was made: $(ls -A out)"
python3 "$root/ios/Tests/xcframework.py" "$root" out ios-arm64 ios-arm64_x86_64-simulator macos-arm64
echo 'make-xcframework.sh: all as it should be'
