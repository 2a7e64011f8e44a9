#!/bin/sh
# Makes .venv and installs what one of the make targets needs:
#   deploy/install.sh           the package itself
#   deploy/install.sh cluster   RabbitMQ and nginx as well
#   deploy/install.sh test      a browser, Node.js with npm, and the development tools as well
#   deploy/install.sh bench     the peers that are measured beside ours, in a .venv/bench of their own
#   deploy/install.sh test-all  Debian 13 with RabbitMQ 4, RabbitMQ's Java client for a JDK, and Firefox, where they can be had
# A second run finds everything in place and takes no time.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

# -- Debian's packages -------------------------------------------------------------------------

missing=

needs() { # PROGRAM PACKAGE
    has "$1" || missing="$missing $2"
}

# Ubuntu has another name for it than Debian.
browser_package() {
    if apt-cache show chromium >/dev/null 2>&1; then echo chromium; else echo chromium-browser; fi
}

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            return
        fi
    done
    say "Python 3.11 or newer is needed. Please install one, for example: python3.11 python3.11-venv"
    exit 1
}

install_missing() {
    if ! has apt-get; then
        say "Please install what these packages of Debian hold:$missing"
        exit 1
    elif [ "$(id -u)" = 0 ]; then
        sudo=
    elif sudo -n true 2>/dev/null; then
        sudo=sudo
    else
        say "Something is missing. Please run:  sudo apt-get install --no-install-recommends$missing"
        exit 1
    fi
    say "Installing$missing ..."
    forbid_services
    # The lists of packages may be missing or old.
    apt_get_install >/dev/null 2>&1 || { $sudo apt-get -qq update && apt_get_install; }
}

# Our tests start their own; while this file says 101, packages start no service of theirs.
forbid_services() {
    policy=/usr/sbin/policy-rc.d
    if ! [ -e "$policy" ]; then
        trap '$sudo rm -f "$policy"' EXIT
        trap 'exit 1' INT TERM
        printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
        $sudo chmod 755 "$policy"
    fi
}

apt_get_install() {
    # shellcheck disable=SC2086  # a list of words
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y install --no-install-recommends $missing </dev/null
}

# -- Python packages ---------------------------------------------------------------------------

venv_works() { "$venv/bin/python" -m pip --version >/dev/null 2>&1; }

# True if $stamp is from this very folder and newer than everything that says what to install.
installed() {
    [ "$(cat "$stamp" 2>/dev/null)" = "$PWD" ] && "$venv/bin/python" -c '' 2>/dev/null || return 1
    for file in setup.cfg pyproject.toml tests/requirements.txt; do
        # shellcheck disable=SC3013  # every shell that may be sh here knows -nt
        [ "$stamp" -nt "$file" ] || return 1
    done
}

# -- packages of Node.js -----------------------------------------------------------------------

npm_packages() { # FOLDER
    cmp -s "$1/package.json" "$1/node_modules/.installed" && return
    say "Installing the JavaScript packages into $1/node_modules ..."
    # A package's script that would run at its installation is not needed, and so not allowed.
    (cd "$1" && npm install --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error >&2)
    cp "$1/package.json" "$1/node_modules/.installed"
}

# ----------------------------------------------------------------------------------------------

extra=
venv=.venv
case ${1:-run} in
    run) ;;
    cluster | test | test-all | bench)
        needs /usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server
        needs nginx nginx
        ;;
    *)
        say "usage: deploy/install.sh [run | cluster | test | test-all | bench]"
        exit 2
        ;;
esac
if [ "${1:-run}" = test ] || [ "${1:-run}" = test-all ]; then
    extra="[test]"
    needs node nodejs
    needs npm npm
    has chromium-browser || has google-chrome || needs chromium "$(browser_package)"
fi
# Nothing that is only measured beside ours shall be there when ours is tested.
peers=tests/bench/programs
if [ "${1:-run}" = bench ]; then
    extra="[bench]"
    venv=.venv/bench
    needs gcc gcc
    [ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
    needs redis-server redis-server
    [ -e /usr/lib/nginx/modules/ngx_nchan_module.so ] || missing="$missing libnginx-mod-nchan"
    needs node nodejs
    needs npm npm
fi
stamp=$venv/installed$extra
if ! installed && ! venv_works; then
    find_python
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        missing="$missing $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
fi

if [ -n "$missing" ]; then
    install_missing
fi
if ! installed; then
    say "Installing the Python packages into $venv ..."
    venv_works || "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint tests/requirements.txt --editable ".$extra"
    printf '%s' "$PWD" >"$stamp"
fi

case $extra in
    "[test]") npm_packages tests/client ;;
    "[bench]") npm_packages "$peers" ;;
esac

# What cannot be had of these is told, and is no failure: the tests do with what is there.
if [ "${1:-run}" = test-all ] && ! deploy/trixie.sh look >/dev/null 2>&1; then
    missing=
    needs debootstrap debootstrap
    needs bwrap bubblewrap
    [ -z "$missing" ] || (install_missing) || true
    deploy/trixie.sh >/dev/null || true
fi
if [ "${1:-run}" = test-all ] && has javac && ! [ -e /usr/share/java/amqp-client.jar ]; then
    missing=" librabbitmq-client-java"
    (install_missing) || true
fi
if [ "${1:-run}" = test-all ] && ! has firefox-esr; then
    missing=" firefox-esr"
    (install_missing) || true
fi
