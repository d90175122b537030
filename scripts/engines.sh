#!/usr/bin/env bash
# Builds engine roots: directory trees of another Debian release from which the engines run, so
# that both generations are tried on one machine. They live in the cache folder; a second run
# finds them good and does nothing.
#
#   engines.sh [RELEASE...]    trixie, bookworm, sid, or the names of their roots; without one,
#                              every generation we promise that this machine is not itself
#   engines.sh --path NAME     print where the root debian12, debian13 or debian-sid is
#
# MIRROR=URL overrides the mirror this machine's apt uses.
set -euo pipefail

checkout=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/steps.sh
. "$checkout/scripts/steps.sh"
# shellcheck source=scripts/debian.sh
. "$checkout/scripts/debian.sh"

readonly roots=${SBCCTL_ENGINES:-$(cache_folder)/engines}

root_name() {
    case $1 in
        bookworm) echo debian12 ;;
        trixie) echo debian13 ;;
        sid) echo debian-sid ;;
    esac
}

release_of() {
    case $1 in
        bookworm | debian12) echo bookworm ;;
        trixie | debian13) echo trixie ;;
        sid | debian-sid) echo sid ;;
        *) stop "no engine root is known by the name '$1'" 'use debian12, debian13 or debian-sid' ;;
    esac
}

packages() {
    printf '%s\n' kamailio kamailio-tls-modules kamailio-sqlite-modules rtpengine-daemon \
        ca-certificates
    # At hand to measure the TLS stacks side by side (docs/decisions/0016-openssl-everywhere.md).
    if [ "$1" = trixie ]; then printf '%s\n' kamailio-tls-wolfssl-modules; fi
}

# in_root ROOT PROGRAM ARGUMENT...: run a program of an engine root.
in_root() {
    local root=$1
    shift
    bwrap --bind "$root" / --dev /dev --proc /proc --tmpfs /tmp -- "$@"
}

# A root is good when its package database names all packages and both daemons answer.
is_good() {
    local root=$1 release=$2 package
    if [ ! -d "$root" ]; then return 1; fi
    for package in $(packages "$release"); do
        if [ "$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${db:Status-Status}' "$package" \
            2>/dev/null)" != installed ]; then
            return 1
        fi
    done
    in_root "$root" kamailio -v >/dev/null 2>&1 && in_root "$root" rtpengine --version >/dev/null 2>&1
}

say_versions() {
    local root=$1 kamailio rtpengine
    kamailio=$(in_root "$root" kamailio -v | sed -n 's/^version: kamailio \([^ ]*\).*/\1/p')
    rtpengine=$(in_root "$root" rtpengine --version 2>&1 | sed -n 's/^Version: \([^ ]*\).*/\1/p')
    printf '  ok    %-12s kamailio %s, rtpengine %s\n' "$(basename "$root")" "$kamailio" "$rtpengine" >&2
}

# The part of a build that runs as root.
build_as_root() {
    local release=$1 root=$2 from=$3
    tree=$(dirname "$root")/.building-$(basename "$root") # not local: the trap outlives this
    trap 'rm -rf "$tree"' EXIT
    trap 'exit 130' INT TERM HUP
    rm -rf "$tree" # of a run that was killed
    bootstrap "$release" "$tree" "$from" "$(packages "$release" | paste -sd,)"
    is_good "$tree" "$release"
    rm -rf "$root"
    mv "$tree" "$root"
}

build() {
    local release name root from
    release=$(release_of "$1")
    name=$(root_name "$release")
    root=$roots/$name
    mkdir -p "$roots"
    # One build of one root at a time; who waited finds it finished.
    exec 8>"$roots/.lock-$name"
    flock 8
    if ! is_good "$root" "$release"; then
        command -v debootstrap >/dev/null ||
            stop 'debootstrap is not installed, so no engine root can be built' 'run: make setup'
        from=$(mirror)
        step "build $name from $release (about a minute)" as_root "$BASH" \
            "$checkout/scripts/engines.sh" --as-root "$release" "$root" "$from" ||
            stop "the engine root $name could not be built, and an older one is untouched" \
                "see above; is $from reachable? another mirror: MIRROR=URL"
    fi
    say_versions "$root"
    exec 8>&-
}

# The generations we promise (Debian 12 and 13) without the one this machine is.
default_releases() {
    local release
    for release in bookworm trixie; do
        if [ "$release" != "$(host_release)" ]; then echo "$release"; fi
    done
}

main() {
    local release
    trap end_step EXIT
    trap 'exit 130' INT TERM HUP
    case ${1:-} in
        --path)
            release=$(release_of "${2:?a name such as debian13}")
            printf '%s\n' "$roots/$(root_name "$release")"
            ;;
        --as-root) shift && build_as_root "$@" ;;
        *)
            # shellcheck disable=SC2046 # one word per release
            [ $# -gt 0 ] || set -- $(default_releases)
            for release in "$@"; do build "$release"; done
            ;;
    esac
}

main "$@"
