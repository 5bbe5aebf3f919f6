#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Proves that a fresh clone works on a fresh Debian 12: installs a minimal system from this machine's own sources into a
# temporary folder, copies the committed tree into it, and runs ./dev there. Not part of ctest: it downloads a lot.
#   tests/system/clean_chroot.sh [DEV-COMMAND...]     default: build, twice, for the second run must find all in place
# KEEP=1 leaves the folder. Needs root and debootstrap. All mounts live in a mount namespace that ends with the script.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

if [[ ${MAPSHIFT_CHROOT_INSIDE:-} != 1 ]]; then
  [[ $EUID == 0 ]] || { echo "needs root" >&2; exit 1; }
  command -v debootstrap >/dev/null || { echo "needs debootstrap: apt-get install debootstrap" >&2; exit 1; }
  root=$(mktemp -d /var/tmp/mapshift-chroot.XXXXXX)
  if [[ ${KEEP:-} == 1 ]]; then
    echo "the folder stays: $root"
  else
    trap 'rm -rf --one-file-system "$root"' EXIT
  fi
  MAPSHIFT_CHROOT_INSIDE=1 unshare --mount --propagation private "$0" "$root" "$@"
  exit
fi

root=$1
shift
IFS='|' read -r uri source < <(
  apt-get indextargets --format '$(RELEASE)|$(REPO_URI)|$(SOURCESENTRY)' 'Created-By: Packages' | sed -n 's/^bookworm|//p')
chmod 755 "$root"
debootstrap --variant=minbase bookworm "$root" "$uri"

# The machine's sources but for backports: adding those is what is tested.
rm -f "$root/etc/apt/sources.list"
cp "${source%:*}" "$root/etc/apt/sources.list.d/"
cp /etc/resolv.conf "$root/etc/resolv.conf"
mkdir "$root/mapshift"
git archive HEAD | tar -x -C "$root/mapshift"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"

run() { chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb "$@"; }
if (($#)); then
  run /mapshift/dev "$@"
else
  run /mapshift/dev build
  run /mapshift/dev build
  echo "clean chroot: ok"
fi
