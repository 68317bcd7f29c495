export HOME=$PWD LD_PRELOAD=$XSTATE
cp $BUILT/disk disk
python3 $FILES/typed.py $FILES/uml/typed.txt linux.uml mem=64M ubd0=disk root=/dev/ubda rootfstype=ext4 \
	quiet con=null con0=fd:0,fd:1 init=/console.sh
