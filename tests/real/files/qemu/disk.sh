# Makes $BUILT/grub-serial, a disk with GRUB, whose terminal is the serial port.
set -e
folder=$(mktemp -d); trap 'rm -r $folder' EXIT
printf 'serial --unit=0\nterminal_input serial\nterminal_output serial\n' >$folder/config
grub-mkimage -O i386-pc -c $folder/config -o $folder/core -p '' \
	normal echo halt hexdump biosdisk hashsum gcry_md5 serial terminal minicmd
cat /usr/lib/grub/i386-pc/boot.img $folder/core >$BUILT/grub-serial
truncate -s 512K $BUILT/grub-serial
