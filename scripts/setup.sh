#!/usr/bin/env bash
# Installs what sbcctl needs: engines and tools from Debian, and a virtual environment in .venv.
# Run twice it does nothing. It changes the package database, .venv and the cache folder only.
#
#   setup.sh              everything that is missing
#   setup.sh --packages   the Debian packages only; this part runs as root
set -euo pipefail

checkout=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/steps.sh
. "$checkout/scripts/steps.sh"

# Debian's own interpreter: python3-venv belongs to it, and PEP 668 forbids installing into it.
readonly python=${PYTHON:-/usr/bin/python3}
readonly venv=$checkout/.venv
readonly policy=/usr/sbin/policy-rc.d
readonly policy_mark='made by sbcctl: nothing starts while packages are installed'

packages() {
    printf '%s\n' python3-venv kamailio kamailio-tls-modules kamailio-sqlite-modules \
        rtpengine-daemon pebble bind9 bubblewrap debootstrap iproute2 util-linux \
        ca-certificates strace nftables
}

missing_packages() {
    local package
    for package in $(packages); do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            printf '%s\n' "$package"
        fi
    done
}

forget_policy() {
    if [ -e "$policy" ] && grep -q "$policy_mark" "$policy"; then rm -f "$policy"; fi
}

# The distribution starts a service when it installs one: a Kamailio on port 5060 that nobody
# asked for. An existing policy-rc.d is the administrator's and stays as it is.
forbid_starting_services() {
    forget_policy # of a run that was killed
    if [ -e "$policy" ]; then return; fi
    printf '#!/bin/sh\n# %s\nexit 101\n' "$policy_mark" >"$policy"
    chmod 755 "$policy"
}

# A service that was not started now must not start at the next boot either.
forbid_starting_at_boot() {
    local package unit
    if ! command -v systemctl >/dev/null; then return; fi
    for package in "$@"; do
        for unit in $(dpkg -L "$package" 2>/dev/null | sed -n 's#.*/systemd/system/\([^/@]*\.service\)$#\1#p'); do
            systemctl --quiet disable "$unit" 2>/dev/null || true
        done
    done
}

# In a session of its own, which Ctrl-C does not reach: a dpkg that is cut short leaves a system
# that refuses every further installation. We wait for it and stop after it.
apt_install() {
    DEBIAN_FRONTEND=noninteractive setsid --wait \
        apt-get install --yes --quiet --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@"
}

# What somebody else's interrupted dpkg left half done.
finish_interrupted_installation() {
    if [ -n "$(dpkg --audit)$(ls -A /var/lib/dpkg/updates)" ]; then
        DEBIAN_FRONTEND=noninteractive step 'finish an interrupted installation' \
            setsid --wait dpkg --force-confold --configure -a ||
            stop 'dpkg was interrupted earlier and cannot be brought to an end' \
                'run: dpkg --configure -a'
    fi
}

install_packages() {
    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -eq 0 ]; then return; fi
    trap 'forget_policy; forbid_starting_at_boot "${missing[@]}"; end_step' EXIT
    trap 'exit 130' INT TERM HUP
    forbid_starting_services
    finish_interrupted_installation
    # Old package lists are tried first: most of the time they are good enough.
    if ! apt-get install --simulate --quiet "${missing[@]}" >/dev/null 2>&1; then
        step 'read the package lists' apt-get update --quiet ||
            stop 'apt-get update failed, nothing was installed' 'is the network up, is the disk full?'
        mapfile -t missing < <(missing_packages)
    fi
    printf '        %s\n' "${missing[*]}" >&2
    if ! step "install ${#missing[@]} Debian packages" apt_install "${missing[@]}"; then
        # A mirror may have moved on since the lists were read.
        step 'read the package lists' apt-get update --quiet || true
        step "install ${#missing[@]} Debian packages, second try" apt_install "${missing[@]}" ||
            stop 'apt could not install what is missing' "try: apt-get install ${missing[*]}"
    fi
}

check_python() {
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        stop "sbcctl needs Python 3.11 or newer, and $python is not" \
            'use Debian 12 or newer, or name another one: make setup PYTHON=/path/to/python3'
    fi
}

# What the virtual environment was made of; when this changes it is filled again.
venv_recipe() {
    { printf '%s\n' "$venv"; "$python" -V; cat "$checkout/pyproject.toml"; } | sha256sum
}

install_venv() {
    local stamp=$venv/sbcctl-recipe recipe
    recipe=$(venv_recipe)
    if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ]; then return; fi
    # Our own cache folder unless the user has one: nothing is left in other places.
    export PIP_CACHE_DIR=${PIP_CACHE_DIR:-$(cache_folder)/pip}
    if ! { [ -x "$venv/bin/python" ] && grep -qxF "$venv $("$python" -V)" "$venv/sbcctl-home"; } 2>/dev/null; then
        step 'make the virtual environment .venv' "$python" -m venv --clear "$venv" ||
            stop "no virtual environment could be made in $venv" 'remove it and try again'
        printf '%s\n' "$venv $("$python" -V)" >"$venv/sbcctl-home"
    fi
    rm -f "$stamp"
    step 'install sbcctl and its Python packages into .venv' \
        "$venv/bin/python" -m pip install --disable-pip-version-check --quiet \
        --editable "${checkout}[dev]" ||
        stop 'pip could not install what pyproject.toml asks for' \
            'see above; pip uses your own configuration (pip config list)'
    printf '%s\n' "$recipe" >"$stamp"
}

main() {
    trap end_step EXIT
    trap 'exit 130' INT TERM HUP
    if [ "${1:-}" = --packages ]; then
        install_packages
        return
    fi
    if ! command -v apt-get >/dev/null; then
        stop 'sbcctl takes its engines from Debian, and this machine has no apt-get' \
            'use Debian 12 or 13'
    fi
    # One setup at a time in one checkout; the lock is on this very file, so nothing is left.
    exec 9<"${BASH_SOURCE[0]}"
    flock 9
    if [ -n "$(missing_packages)" ]; then
        as_root "$BASH" "$checkout/scripts/setup.sh" --packages
    fi
    check_python
    install_venv
}

main "$@"
