#!/bin/sh
# Install the system packages that tinyfleet can use but does not need.
# Without them: the broker from pip instead of Mosquitto, Unicorn alone instead of Unicorn and QEMU.
# Never fails: what could not be installed is said, and the rest goes on.
set -u

[ "${OFFLINE:-0}" = 1 ] && exit 0
[ "${SYSTEM:-basic}" = none ] && exit 0

PATH="$PATH:/usr/sbin:/sbin"
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }

need mosquitto mosquitto
need qemu-system-arm qemu-system-arm
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
if [ "${SYSTEM:-basic}" = full ]; then
    need arm-none-eabi-gcc "gcc-arm-none-eabi libnewlib-arm-none-eabi"
    need clang "clang libclang-rt-dev"
    [ "$(uname -m)" = x86_64 ] && need qemu-x86_64 qemu-user
fi
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "tinyfleet: not installed (no apt-get here):$missing. Going on without."
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "tinyfleet: not installed (needs root):$missing. Going on without."
    echo "tinyfleet: to add them: sudo apt-get install --no-install-recommends$missing"
    exit 0
fi

echo "tinyfleet: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # word splitting is what separates the package names
if ! { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1; then
    echo "tinyfleet: could not install$missing. Going on without."
fi
exit 0
