#!/usr/bin/env bash
# Makes OUT_DIR/CNibble.xcframework out of static libraries of nibble-ffi, on a Mac or on Linux:
#
#     ios/make-xcframework.sh OUT_DIR LIB.a...
#
# Each library is for one architecture of one platform (iOS, its simulator, macOS), which is read from its Mach-O headers.
# Libraries of one platform are joined. What was in OUT_DIR under that name is replaced when the new one is whole.
#
# The slices are static frameworks and not bare libraries: only a framework brings its module map and its privacy manifest along,
# and the headers of two bare libraries end up in one folder.
set -euo pipefail

name=CNibble
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    echo "make-xcframework.sh: $1" >&2
    exit 1
}

[ $# -ge 2 ] || fail "usage: make-xcframework.sh OUT_DIR LIB.a..."
out=$1
shift

# ---- What a library is for. ----

bytes() { # FILE OFFSET COUNT
    dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null | tr -d '\0'
}

word() { # FILE OFFSET: 32 bits, little-endian as everything that Apple builds for
    od -An -tu4 -j "$2" -N 4 "$1" | tr -d ' \n'
}

# Prints "PLATFORM ARCHITECTURE" of the Mach-O object at an offset; nothing where it is no object, or says no platform.
target_of_object() { # FILE OFFSET
    local architecture platform= command count size
    [ "$(word "$1" "$2")" = 4277009103 ] || return 0 # MH_MAGIC_64
    case $(word "$1" $(($2 + 4))) in
    16777228) architecture=arm64 ;;  # CPU_TYPE_ARM64
    16777223) architecture=x86_64 ;; # CPU_TYPE_X86_64
    *) return 0 ;;
    esac
    command=$(($2 + 32))
    for ((count = $(word "$1" $(($2 + 16))); count > 0; count--)); do
        # LC_BUILD_VERSION names the platform; the commands before it told devices from simulators by the processor.
        case $(word "$1" $command) in
        50) platform=$(word "$1" $((command + 8))) ;;
        37) [ $architecture = arm64 ] && platform=2 || platform=7 ;; # LC_VERSION_MIN_IPHONEOS
        36) platform=1 ;;                                             # LC_VERSION_MIN_MACOSX
        esac
        size=$(word "$1" $((command + 4)))
        [ -z "$platform" ] && [ "${size:-0}" -ge 8 ] || break
        command=$((command + size))
    done
    case $platform in
    1) echo "macos $architecture" ;;
    2) echo "ios $architecture" ;;
    7) echo "ios-simulator $architecture" ;;
    esac
}

# As target_of_object, of the first object of an archive that says it.
target_of() { # FILE
    local file=$1 offset=8 end size content target member
    [ "$(bytes "$file" 0 8)" = '!<arch>' ] || fail "$file is no static library; build one with --crate-type staticlib"
    end=$(wc -c <"$file")
    while [ $((offset + 60)) -le "$end" ]; do
        size=$(bytes "$file" $((offset + 48)) 10 | tr -d ' ')
        case $size in '' | *[!0-9]*) fail "$file is a damaged archive; build it anew" ;; esac
        content=$((offset + 60))
        # A long name stands before the member: #1/LENGTH.
        member=$(bytes "$file" "$offset" 16 | tr -d ' ')
        case $member in '#1/'*) content=$((content + ${member#'#1/'})) ;; esac
        target=$(target_of_object "$file" $content)
        [ -z "$target" ] || break
        offset=$((offset + 60 + size + size % 2))
    done
    [ -n "${target:-}" ] || fail "$file has no object for iOS, its simulator or macOS; build it for one of them"
    echo "$target"
}

libraries=("$@")
targets=()
for library in "${libraries[@]}"; do
    [ -f "$library" ] || fail "there is no file $library"
    target=$(target_of "$library")
    for ((i = 0; i < ${#targets[@]}; i++)); do
        [ "${targets[$i]}" != "$target" ] || fail "${libraries[$i]} and $library are both for $target; give one of them"
    done
    targets+=("$target")
done

# ---- The frameworks. ----

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
oldest() { # PLATFORM, as Package.swift spells it
    sed -n "s/.*\.$1(\.v\([0-9]*\)).*/\1.0/p" "$root/Package.swift"
}

big_endian() { # NUMBER...: 32 bits each
    local number
    for number; do
        printf "\\$(printf %03o $((number >> 24 & 255)))\\$(printf %03o $((number >> 16 & 255)))"
        printf "\\$(printf %03o $((number >> 8 & 255)))\\$(printf %03o $((number & 255)))"
    done
}

# One library, or that for arm64 and that for x86_64 as a universal file (mach-o/fat.h): a table, then both, each on a page of
# 16 KiB. `lipo` would do it too, but LLVM's stops at objects that a newer compiler made.
join() { # OUTPUT LIBRARY [LIBRARY]
    local output=$1 first second page=16384 start
    shift
    if [ $# -eq 1 ]; then
        cp "$1" "$output"
        return
    fi
    first=$(wc -c <"$1") second=$(wc -c <"$2")
    start=$((page + (first + page - 1) / page * page))
    [ $((start + second)) -lt 4294967296 ] || fail "$1 and $2 are too large for one file"
    {
        big_endian 0xcafebabe 2
        big_endian 0x0100000c 0 $page "$first" 14
        big_endian 0x01000007 3 $start "$second" 14
        head -c $((page - 48)) /dev/zero
        cat "$1"
        head -c $((start - page - first)) /dev/zero
        cat "$2"
    } >"$output"
}

plist() { # the lines of its dictionary from standard input
    echo '<?xml version="1.0" encoding="UTF-8"?>'
    echo '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">'
    echo '<plist version="1.0">'
    echo '<dict>'
    sed 's/^/    /'
    echo '</dict>'
    echo '</plist>'
}

framework() { # FOLDER PLATFORM LIBRARY...
    local folder=$1 platform=$2 resources=$1 system minimum part
    shift 2
    case $platform in
    ios) system=iPhoneOS minimum="<key>MinimumOSVersion</key><string>$(oldest iOS)</string>" ;;
    ios-simulator) system=iPhoneSimulator minimum="<key>MinimumOSVersion</key><string>$(oldest iOS)</string>" ;;
    macos) system=MacOSX minimum="<key>LSMinimumSystemVersion</key><string>$(oldest macOS)</string>" ;;
    esac
    if [ $platform = macos ]; then
        # There a framework is a folder of versions.
        mkdir -p "$folder/Versions/A/Resources"
        ln -s A "$folder/Versions/Current"
        for part in $name Headers Modules Resources; do ln -s "Versions/Current/$part" "$folder/$part"; done
        folder=$folder/Versions/A
        resources=$folder/Resources
    fi
    mkdir -p "$folder/Headers" "$folder/Modules"
    join "$folder/$name" "$@"
    cp "$root/bindings/swift/$name/$name.h" "$folder/Headers/"
    cp "$root/ios/Sources/Nibble/PrivacyInfo.xcprivacy" "$resources/"
    cat >"$folder/Modules/module.modulemap" <<END
framework module $name {
    header "$name.h"
    export *
}
END
    plist >"$resources/Info.plist" <<END
<key>CFBundleDevelopmentRegion</key><string>en</string>
<key>CFBundleExecutable</key><string>$name</string>
<key>CFBundleIdentifier</key><string>dev.nibble.$name</string>
<key>CFBundleInfoDictionaryVersion</key><string>6.0</string>
<key>CFBundleName</key><string>$name</string>
<key>CFBundlePackageType</key><string>FMWK</string>
<key>CFBundleShortVersionString</key><string>$version</string>
<key>CFBundleSupportedPlatforms</key><array><string>$system</string></array>
<key>CFBundleVersion</key><string>$version</string>
$minimum
END
}

# ---- All of it, aside; then renamed. ----

mkdir -p "$out"
aside=$(mktemp -d "$out/.$name.XXXXXX")
trap 'rm -rf "$aside"' EXIT
made=$aside/$name.xcframework
slices=

for platform in ios ios-simulator macos; do
    architectures= joined=()
    for architecture in arm64 x86_64; do
        for ((i = 0; i < ${#targets[@]}; i++)); do
            [ "${targets[$i]}" = "$platform $architecture" ] || continue
            architectures="$architectures $architecture"
            joined+=("${libraries[$i]}")
        done
    done
    [ ${#joined[@]} -gt 0 ] || continue
    variant=${platform#ios}
    variant=${variant#-}
    [ "$platform" != macos ] || variant=
    identifier=${platform%%-*}-$(echo $architectures | tr ' ' _)${variant:+-$variant}
    mkdir -p "$made/$identifier"
    framework "$made/$identifier/$name.framework" $platform "${joined[@]}"
    binary=$name
    [ "$platform" != macos ] || binary=Versions/A/$name
    slices="$slices
    <dict>
        <key>BinaryPath</key><string>$name.framework/$binary</string>
        <key>LibraryIdentifier</key><string>$identifier</string>
        <key>LibraryPath</key><string>$name.framework</string>
        <key>SupportedArchitectures</key><array>$(printf '<string>%s</string>' $architectures)</array>
        <key>SupportedPlatform</key><string>${platform%%-*}</string>${variant:+
        <key>SupportedPlatformVariant</key><string>$variant</string>}
    </dict>"
done

plist >"$made/Info.plist" <<END
<key>AvailableLibraries</key>
<array>$slices
</array>
<key>CFBundlePackageType</key><string>XFWK</string>
<key>XCFrameworkFormatVersion</key><string>1.0</string>
END

[ ! -e "$out/$name.xcframework" ] || mv "$out/$name.xcframework" "$aside/before"
mv "$made" "$out/$name.xcframework"
echo "$out/$name.xcframework"
