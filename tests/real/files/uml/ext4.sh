# $1: the guest's first program. In a machine its disk and its RAM lie in a tmpfs that may be larger than RAM.
$ROOM $PWD; cd $PWD
export HOME=$PWD TMPDIR=$PWD LD_PRELOAD=$XSTATE
cp $BUILT/disk disk
linux.uml mem=64M ubd0=disk root=/dev/ubda rootfstype=ext4 quiet con=null con0=null,fd:1 \
	init=/$1 2>&1 | tr -d '\r' | grep -e in-uml -e Power
