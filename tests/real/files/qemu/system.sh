cp $BUILT/grub-serial disk
python3 $FILES/typed.py $FILES/qemu/typed.txt qemu-system-x86_64 -accel tcg -m 32 -nodefaults -no-reboot \
	-display none -serial stdio -drive file=disk,format=raw >shown
echo status $?
sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' shown
