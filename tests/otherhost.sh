#!/bin/bash
# Run tests of this checkout on another host: an emulated machine with another kernel.
#
#     tests/otherhost.sh KERNEL              all that make test runs
#     tests/otherhost.sh KERNEL WORDS...     pytest's words: files, options
#
# KERNEL is a folder to which a kernel's Debian package was unpacked (`apt download`, `dpkg -x`). The
# processor is qemu's, emulated, with all that it can have (protection keys, AVX), and everything takes
# ten to fifteen times as long. `CPU=` names another one, `SMP=` and `RAM=` (MiB) say how much of it, `THP=`
# (always, madvise or never) who gets huge pages, `QEMU=` which qemu: 10 forks in a third of 7.2's time.
# The files are this host's, below an overlay, with this checkout copied to a disk at its own place; so
# the environment must be built (make build). It prints what is printed there, and ends with its status.
# Needs qemu-system-x86_64, mke2fs, a static busybox, kmod, cpio, xz.
set -euo pipefail
kernel=$(realpath "$1")
shift
root=$(realpath "$(dirname "$0")/..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[[ -e $kernel/lib ]] || ln -s usr/lib "$kernel/lib" # where newer packages have the modules
release=$(basename "$kernel"/lib/modules/*)

# The first file system: a shell, and the modules that lead to the others. The other
# modules are found where they are looked for, once all is mounted.
mkdir -p "$work"/first/{bin,modules,proc,sys,dev,lower,disk,new} "$work"/disk/{upper,work,tmp}
cp "$(command -v busybox)" "$work/first/bin/busybox"
depmod -b "$kernel" "$release"
echo "$kernel" >"$work/first/kernel"
for module in crc32c_generic virtio_pci virtio_blk 9pnet_virtio 9p overlay ext4; do
	# The first of them newer kernels do not have.
	{ modprobe -d "$kernel" -S "$release" --show-depends "$module" 2>/dev/null || true; } | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r path; do
	module=$(basename "${path%.xz}")
	if [[ $path == *.xz ]]; then xz -dc "$path"; else cat "$path"; fi >"$work/first/modules/$module"
	echo "$module" >>"$work/first/modules/order"
done
cat >"$work/first/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 root /lower
mount -t ext4 /dev/vda /disk
chmod 1777 /disk/tmp
mount -t overlay -o lowerdir=/lower,upperdir=/disk/upper,workdir=/disk/work over /new
mkdir -p /new/usr/lib/modules
mount --bind /lower$(cat /kernel)/lib/modules /new/usr/lib/modules
mount --move /dev /new/dev
ln -s /proc/self/fd /new/dev/fd
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /new/dev/pts
mount -t tmpfs -o mode=1777 shm /new/dev/shm
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
mount -t cgroup2 groups /new/sys/fs/cgroup
mount --bind /disk/tmp /new/tmp
ip link set lo up
exec switch_root /new /bin/bash /otherhost
INIT
chmod +x "$work/first/init"
(cd "$work/first" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"

command="make test"
(($#)) && command=".venv/bin/python -m pytest -p no:cacheprovider $(printf '%q ' "$@")"

# The disk: the checkout, for /tmp is the disk's, and what the guest runs.
place=upper$root
[[ $root == /tmp/* ]] && place=${root#/}
mkdir -p "$work/disk/$(dirname "$place")"
cp -a "$root" "$work/disk/$place"
cat >"$work/disk/upper/otherhost" <<GUEST
export PATH=$PATH HOME=/root LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=
cd $(printf %q "$root")
$command </dev/null
echo "otherhost: status \$?"
echo o >/proc/sysrq-trigger
sleep 60
GUEST
truncate -s 12G "$work/image"
mke2fs -q -t ext4 -F -d "$work/disk" "$work/image"
rm -r "$work/disk"

# Huge pages for all that ask for none, as Debian's kernels give them, make each large page that is
# touched be cleared by emulation: more than twice as long. Memory that the host's ksmd may merge has to be
# copied again: twice as long.
"${QEMU:-qemu-system-x86_64}" -accel tcg,thread=multi,tb-size=1024 -machine mem-merge=off -cpu "${CPU:-max,la57=off}" -smp "${SMP:-2}" \
	-m "${RAM:-6144}" -display none -monitor none -serial stdio -no-reboot \
	-kernel "$kernel/boot/vmlinuz-$release" -initrd "$work/initrd" \
	-append "console=ttyS0 quiet panic=-1 vsyscall=xonly mitigations=off no_timer_check transparent_hugepage=${THP:-madvise}" \
	-drive "file=$work/image,format=raw,if=virtio,cache=unsafe" \
	-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
	-device virtio-9p-pci,fsdev=root,mount_tag=root </dev/null | sed -u 's,\r,,' | tee "$work/out"
exit "$(sed -n 's/^otherhost: status //p' "$work/out" | grep . || echo 1)"
