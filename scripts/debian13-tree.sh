#!/usr/bin/env bash
# Runs a command in a fresh Debian 13 with a fresh clone of this checkout: that is how the two
# commands of the README are tried where production is, with that release's own Python.
#
#   debian13-tree.sh [COMMAND]    default: make setup; for example 'make demo && make test'
#
# What the machine knows about reaching its mirrors (name resolution, apt's and pip's settings,
# certificates, proxies) is handed in at run time. The tree is removed at the end; the minimal
# Debian it starts from stays in the cache folder. Runs as root.
set -euo pipefail

checkout=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/steps.sh
. "$checkout/scripts/steps.sh"
# shellcheck source=scripts/debian.sh
. "$checkout/scripts/debian.sh"

readonly release=${RELEASE:-trixie}
base=$(cache_folder)/trees/$release
tree=''

leave() {
    end_step
    if [ -n "$tree" ]; then rm -rf --one-file-system "$tree"; fi
    rm -rf --one-file-system "$base.building"
}

make_base() {
    if [ -d "$base" ]; then return; fi
    mkdir -p "$(dirname "$base")"
    step "make a minimal Debian ($release)" \
        bootstrap "$release" "$base.building" "$(mirror)" ca-certificates,git,make ||
        stop 'no minimal Debian could be made' 'see above; another mirror: MIRROR=URL'
    mv "$base.building" "$base"
}

# Folders of this machine that pip's settings name; most machines have none. An index's pages
# link to files beside its folder simple/, so its parent is handed in.
pip_folders() {
    python3 -m pip config list 2>/dev/null | tr "' " '\n' |
        sed -nE 's#^file://##; s#/simple/?$##; /^\/./p' | sort -u
}

# What a fresh machine would be told by whoever runs it: how to reach mirrors and indexes.
hand_in_settings() {
    apt-config dump | grep -E '^Acquire::(http|https|ftp|Check|Retries|Force)' \
        >"$tree/etc/apt/apt.conf.d/90host" || true
    cp -L /etc/resolv.conf /etc/hosts "$tree/etc/"
    cp -r /usr/local/share/ca-certificates/. "$tree/usr/local/share/ca-certificates/"
    if [ -e /etc/pip.conf ]; then cp /etc/pip.conf "$tree/etc/pip.conf"; fi
    if [ -e "$HOME/.config/pip/pip.conf" ]; then
        mkdir -p "$tree/root/.config/pip"
        cp "$HOME/.config/pip/pip.conf" "$tree/root/.config/pip/pip.conf"
    fi
}

# enter SCRIPT: bwrap and not chroot, because the lab makes namespaces and enters engine roots,
# and neither works below a chroot.
enter() {
    local name folder extra=()
    for name in $(compgen -e | grep -E '^(PIP_.*|.*_proxy|.*_PROXY|SSL_CERT_(FILE|DIR)|CI)$'); do
        extra+=(--setenv "$name" "${!name}")
    done
    for folder in $(pip_folders); do
        if [ -d "$folder" ]; then extra+=(--ro-bind "$folder" "$folder"); fi
    done
    bwrap --dev-bind "$tree" / --dev-bind /dev /dev --proc /proc --bind /sys /sys \
        --tmpfs /run --tmpfs /dev/shm --unshare-pid --unshare-ipc --die-with-parent --cap-add ALL \
        --clearenv --setenv HOME /root --setenv LANG C.UTF-8 --setenv TERM "${TERM:-dumb}" \
        --setenv PATH /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        "${extra[@]}" --chdir /root -- sh -ec "$1"
}

main() {
    local command=${*:-make setup}
    if [ "$(id -u)" -ne 0 ]; then
        stop 'a fresh Debian can only be made by root' 'run this as root'
    fi
    trap leave EXIT
    trap 'exit 130' INT TERM HUP
    make_base
    tree=$(mktemp -d "$base.run.XXXXXX")
    step 'copy it' cp -a "$base/." "$tree/"
    step 'clone the checkout into it' git clone --quiet --no-hardlinks "$checkout" "$tree/root/sbcctl"
    hand_in_settings
    step 'read its certificates' enter 'update-ca-certificates'
    enter "cd sbcctl && { $command; }"
}

main "$@"
