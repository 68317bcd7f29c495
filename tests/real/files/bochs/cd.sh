# Makes $BUILT/linux.iso: Debian's kernel for clouds, which is not installed, and busybox, started by ISOLINUX.
[ -e $BUILT/linux.iso ] && exit
set -e
work=$(mktemp -d); trap 'rm -r $work' EXIT
cd $work
apt-get download -qq $(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p')
dpkg-deb -x linux-image-*.deb .
mkdir -p cd tree/bin tree/dev tree/proc
for name in $(busybox --list); do ln -sf busybox tree/bin/$name; done
rm -f tree/bin/busybox; cp $(command -v busybox) tree/bin/
install -m 755 $FILES/bochs/init tree/
cc -static -O2 -s -o tree/halt $FILES/bochs/halt.c
(cd tree && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >cd/initrd
cp boot/vmlinuz-* cd/vmlinuz
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 $FILES/bochs/isolinux.cfg cd/
xorriso -as mkisofs -quiet -o $BUILT/linux.iso -b isolinux.bin -no-emul-boot -boot-load-size 4 -boot-info-table cd
