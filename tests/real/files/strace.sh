# Numbers that differ from machine to machine are left out.
strace -f -o log -e trace=clone,clone3,wait4,exit_group,write $BUILT/sample
sed -e 's/^[0-9]* *//' -e 's/0x[0-9a-f]*/P/g' -e 's/pid=[0-9]*/N/' -e 's/\[[0-9]*\]/N/' \
	-e 's/ <unfinished.*/)/' -e 's/ *= [0-9?]*$//' log | grep -v -e resumed -e wait4 | sort
