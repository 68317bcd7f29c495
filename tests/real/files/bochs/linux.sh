# Sets the prompt and begins Bochs' configuration.
prompt='/ #'
cat >rc <<END
megs: 128
ata0-master: type=cdrom, path=$BUILT/linux.iso, status=inserted
boot: cdrom
clock: sync=none, time0=0
cpu: ips=10000000
END
