# Makes $BUILT/grub, a hard disk of two cylinders with GRUB and no file system.
set -e
core=$(mktemp); trap 'rm $core' EXIT
grub-mkimage -O i386-pc -o $core -p '' normal halt biosdisk hashsum gcry_md5
cat /usr/lib/grub/i386-pc/boot.img $core >$BUILT/grub
truncate -s $((2 * 16 * 63 * 512)) $BUILT/grub
