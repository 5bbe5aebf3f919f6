#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The first process of the test machine: runs what /vm/tests lists, a name and a command a line, and says how each ended.
/bin/busybox mkdir -p /busybox
/bin/busybox --install -s /busybox
export PATH=/bin:/sbin:/usr/bin:/usr/sbin:/busybox LC_ALL=C MAPSHIFT_IN_VM=1 HOME=/tmp
mkdir -p /proc /sys /dev /tmp /run /var/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for module in /vm/modules/*; do
  case $module in
    *.xz) unxz -c "$module" > /tmp/module.ko && insmod /tmp/module.ko || echo "VM-NOTE cannot load $module" ;;
    *.ko) insmod "$module" || echo "VM-NOTE cannot load $module" ;;
  esac
done
ip link set lo up
ulimit -n 65536
ulimit -c 0
echo "VM-KERNEL $(uname -r)"
cd "$(cat /vm/directory)"
while read -r name limit command; do
  echo "VM-BEGIN $name"
  timeout "$limit" /bin/sh -c "$command" < /dev/null 2>&1
  echo "VM-END $name $?"
done < /vm/tests
echo VM-DONE
poweroff -f
