# shellcheck shell=bash
# Trees of a Debian release: where to take them from and how to make one. Sourced, after steps.sh.

host_release() { . /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-unknown}"; }

# mirror: where this machine's apt takes the main part of its own release from. MIRROR=URL
# overrides it.
mirror() {
    local found
    if [ -n "${MIRROR:-}" ]; then
        printf '%s\n' "$MIRROR"
        return
    fi
    # shellcheck disable=SC2016 # apt fills these in, not the shell
    # Origin and label are known once the lists were read; before that the release's name is.
    found=$(apt-get indextargets --format '$(ORIGIN)/$(LABEL)/$(COMPONENT) $(SITE)' \
        'Created-By: Packages' | sed -n 's#^Debian/Debian/main ##p' | head -n 1)
    if [ -z "$found" ]; then
        # shellcheck disable=SC2016
        found=$(apt-get indextargets --format '$(RELEASE)/$(COMPONENT) $(SITE)' \
            'Created-By: Packages' | sed -n "s#^$(host_release)/main ##p" | head -n 1)
    fi
    case $found in
        http://* | https://* | file:/*) printf '%s\n' "$found" ;;
        *) stop "apt's sources name no Debian mirror that debootstrap can read: '$found'" \
            'name one: MIRROR=URL' ;;
    esac
}

# bootstrap RELEASE TREE MIRROR PACKAGES: make a minimal Debian with these packages (commas
# between them). In mount and process namespaces of its own, so that whatever debootstrap mounts
# or starts is gone with it, also after Ctrl-C. Runs as root.
bootstrap() {
    local release=$1 tree=$2 from=$3 include=$4 proxy=''
    # debootstrap asks wget, which does not know apt's proxy.
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    if [ -n "$proxy" ]; then export http_proxy=$proxy; fi
    unshare --mount --pid --fork --kill-child debootstrap --variant=minbase \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
        --include="$include" "$release" "$tree" "$from"
    rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
    chmod 755 "$tree"
}
