# Sets the prompt and begins Bochs' configuration. Bochs writes to its disk, so that it gets a copy.
prompt='grub>'
cp $BUILT/grub disk
cat >rc <<END
megs: 16
ata0-master: type=disk, path=disk, mode=flat
boot: disk
cpu: ips=1000000
END
