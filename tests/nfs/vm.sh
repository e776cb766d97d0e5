#!/usr/bin/env bash
# A small virtual machine with an NFS server and two clients of it, which cache and lock as two
# hosts do.
#
#   vm.sh build DIR                   makes kernel, initrd and root image in DIR, once: 3 minutes, 1 GiB
#   vm.sh run DIR PAYLOAD COMMAND     boots, mounts a copy of the folder PAYLOAD at /payload, runs
#                                     COMMAND there as root, ends with its exit status
#
# In the machine: /export is the server's ext4, /mnt/a and /mnt/b are two NFSv4.2 mounts of it, each
# of a network namespace of its own. `on a COMMAND` and `on b COMMAND` run as that host.
# /export/squash is exported with root_squash, and seen at /mnt/a/squash. u1 and u2 are users of the
# group lab. /local/a and /local/b are local folders. VM_SECONDS (1800) is the most that a run may
# take.
#
# Needs root and the Debian packages debootstrap, qemu-system-x86 and e2fsprogs. The machine has no
# network of its own.
set -euo pipefail
what=${1:?build or run}
dir=${2:?the folder of the image}

build() {
    local root=$dir/root packages
    packages=linux-image-cloud-amd64,initramfs-tools,kmod,iproute2,nfs-kernel-server,nfs-common
    packages+=,util-linux,procps,python3,python3-attr,strace,e2fsprogs
    mkdir -p "$dir"
    rm -rf "$root" "$dir/root.img"
    debootstrap --variant=minbase --include="$packages" bookworm "$root" >"$dir/debootstrap.log" 2>&1
    mkdir -p "$root"/{export/squash,mnt/a,mnt/b,local/a,local/b,payload}
    chroot "$root" sh -c \
        'groupadd -g 3000 lab; useradd -m -u 3001 -G lab u1; useradd -m -u 3002 -G lab u2'
    cat >"$root/usr/local/bin/on" <<'ON'
#!/bin/bash
host=$1
shift
exec nsenter --net="/run/netns/$host" \
    unshare --uts bash -c 'hostname "$0"; exec "$@"' "host-$host" "$@"
ON
    cat >"$root/init" <<'INIT'
#!/bin/bash
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /run
mount -t tmpfs tmp /tmp
mkdir -p /run/rpcbind /var/lib/nfs/v4recovery /var/lib/nfs/nfsdcltrack
mount -t ext4 /dev/vdb /payload
ip link set lo up
modprobe nfsd
modprobe nfsv4
mount -t nfsd nfsd /proc/fs/nfsd
# A mount point, because only such a folder is an export of its own.
mount --bind /export/squash /export/squash
echo '/export *(rw,sync,no_root_squash,no_subtree_check,fsid=0)' >/etc/exports
echo '/export/squash *(rw,sync,root_squash,no_subtree_check,fsid=1)' >>/etc/exports
rpcbind 2>/dev/null
exportfs -ra 2>/dev/null
rpc.mountd
# Clients may claim their state again for so many seconds after the server starts.
rpc.nfsd --no-nfs-version 3 -G 10 2 2>/dev/null
number=0
for host in a b; do
    number=$((number + 1))
    ip netns add $host
    ip link add v$host type veth peer name e$host
    ip link set e$host netns $host
    ip addr add 10.9.$number.1/24 dev v$host
    ip link set v$host up
    ip netns exec $host ip addr add 10.9.$number.2/24 dev e$host
    ip netns exec $host ip link set e$host up
    ip netns exec $host ip link set lo up
    # nosharecache: two mounts of one server would share their cache.
    options=vers=4.2,hard,nosharecache,clientaddr=10.9.$number.2
    # With a host name of its own: by that the server tells its clients apart, and one that has the
    # name of another takes its locks and opens away.
    on $host mount -t nfs4 -o $options 10.9.$number.1:/ /mnt/$host
done
echo "@@ready"
cd /payload
bash .command
echo "@@exit $?"
sync
echo o >/proc/sysrq-trigger
sleep 10
INIT
    chmod +x "$root/init" "$root/usr/local/bin/on"
    cp "$root"/boot/vmlinuz-* "$dir/vmlinuz"
    cp "$root"/boot/initrd.img-* "$dir/initrd"
    truncate -s 3G "$dir/new.img"
    mke2fs -q -F -t ext4 -d "$root" "$dir/new.img"
    rm -rf "$root"
    # Last: an image that is there is whole.
    mv "$dir/new.img" "$dir/root.img"
}

run() {
    local payload=${3:?a folder} command=${4:?a command} size status
    local machine=(-accel tcg,thread=multi)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp -a "$payload" "$work/payload"
    printf '%s\n' "$command" >"$work/payload/.command"
    size=$(du -sm "$work/payload" | cut -f1)
    truncate -s $((size * 2 + 200))M "$work/payload.img"
    mke2fs -q -F -t ext4 -d "$work/payload" "$work/payload.img"
    timeout "${VM_SECONDS:-1800}" qemu-system-x86_64 "${machine[@]}" -m 2048 -smp 2 \
        -nographic -no-reboot -nic none -kernel "$dir/vmlinuz" -initrd "$dir/initrd" -snapshot \
        -drive "file=$dir/root.img,format=raw,if=virtio" \
        -drive "file=$work/payload.img,format=raw,if=virtio" \
        -append 'console=ttyS0 quiet panic=-1 root=/dev/vda rw init=/init' </dev/null 2>&1 \
        | stdbuf -oL tr -d '\r' | tee "$work/out" | sed -un '/^@@ready/,/^@@exit/{/^@@/!p}' || true
    status=$(sed -n 's/^@@exit //p' "$work/out" | tail -n 1)
    if [[ -z $status ]]; then
        echo "the virtual machine did not end by itself; its last lines:" >&2
        tail -n 15 "$work/out" >&2
        exit 125
    fi
    exit "$status"
}

case $what in
    build) build ;;
    run) run "$@" ;;
    *) echo "vm.sh: build or run" >&2 && exit 2 ;;
esac
