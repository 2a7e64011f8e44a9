#!/bin/sh
# Puts Debian 13 with its RabbitMQ 4 into a folder, for the tests that run against both versions, and
# prints the folder. What cannot be had is said on standard error, and the exit status is 1.
#   deploy/trixie.sh         make it where it is missing; a minute, 400 MB, once for all checkouts
#   deploy/trixie.sh look    only look whether it is there and can be used
# DEBIAN_MIRROR says where from; by default the place that this machine's apt has Debian from.
set -eu
export PATH="$PATH:/usr/sbin:/sbin"
tree=${XDG_CACHE_HOME:-$HOME/.cache}/progress-ws/trixie

lack() {
    printf 'RabbitMQ 4 cannot be had for the tests: %s\n' "$*" >&2
    exit 1
}

mirror() {
    # shellcheck disable=SC2016  # apt's own placeholders
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
        'Label: Debian' 2>/dev/null | head -n 1
}

command -v bwrap >/dev/null || lack "bwrap is not installed"
bwrap --ro-bind / / true 2>/dev/null || lack "bwrap may not make namespaces here"
if [ -d "$tree" ]; then
    echo "$tree"
    exit 0
fi
[ "${1:-}" != look ] || lack "deploy/trixie.sh has not made $tree"
command -v debootstrap >/dev/null || lack "debootstrap is not installed"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif sudo -n true 2>/dev/null; then
    sudo=sudo
else
    lack "debootstrap needs root; run  sudo env HOME=\"$HOME\" deploy/trixie.sh  once"
fi
from=${DEBIAN_MIRROR:-$(mirror)}
[ -n "$from" ] || lack "apt knows no mirror of Debian; set DEBIAN_MIRROR to the address of one"

printf 'Putting Debian 13 with RabbitMQ 4 into %s ...\n' "$tree" >&2
mkdir -p "${tree%/*}"
# Built beside and renamed, so that half a tree is never taken for one.
building=$(mktemp -d "$tree.XXXXXX")
trap '$sudo rm -rf "$building"' EXIT
trap 'exit 1' INT TERM
$sudo chmod 755 "$building"
$sudo env DEBIAN_FRONTEND=noninteractive debootstrap --variant=minbase --include=rabbitmq-server \
    trixie "$building" "$from" >"$tree.log" 2>&1 </dev/null ||
    lack "debootstrap failed:
$(tail -n 5 "$tree.log")"
# Where the machine's own is mounted.
$sudo touch "$building/etc/hosts"
mv -T "$building" "$tree" 2>/dev/null || [ -d "$tree" ] || lack "$tree cannot be made"
echo "$tree"
