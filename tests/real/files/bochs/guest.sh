# $1: the display library. Bochs writes to its disk, so that it gets a copy.
cp $BUILT/grub disk
cat >rc <<END
megs: 16
romimage: file=/usr/share/bochs/BIOS-bochs-legacy
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0-master: type=disk, path=disk, mode=flat
boot: disk
display_library: $1
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
cpu: ips=1000000
log: log
END
python3 $FILES/bochs/guest.py ${1%%,*} $FILES/bochs/typed.txt rc
echo status $?
grep -o 'shutdown requested' log
