# A later kernel in a root of its own, which it sees as its host's; its guest's root is a directory there.
export R=$BUILT/trixie
unshare -m sh -c 'mount -t tmpfs tmpfs $R/tmp; mount --rbind /dev $R/dev; mount -t proc proc $R/proc
exec env HOME=/tmp TMPDIR=/tmp chroot $R linux.uml mem=64M root=/dev/root rootfstype=hostfs \
	rootflags=/guest ro quiet con=null con0=fd:0,fd:1 init=/script.sh' 2>&1 | tr -d '\r' | grep -e in-uml -e Power
