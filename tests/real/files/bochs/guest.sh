# $1: the guest. $2: the display library.
. $FILES/bochs/$1.sh
cat >>rc <<END
romimage: file=/usr/share/bochs/BIOS-bochs-legacy
vgaromimage: file=/usr/share/vgabios/vgabios.bin
display_library: $2
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
log: log
END
python3 $FILES/bochs/guest.py ${2%%,*} "$prompt" $FILES/bochs/$1.txt rc
echo status $?
grep -o 'shutdown requested' log
