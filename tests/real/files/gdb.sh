# Numbers, and where the other thread waits, differ from run to run.
gdb -q -nx -batch -ex 'set debuginfod enabled off' -ex 'break add' -ex run -ex bt -ex finish \
	-ex 'watch counter' -ex continue -ex 'info threads' -ex delete -ex continue $BUILT/sample 2>&1 |
	sed -e 's/0x[0-9a-f]*/P/g' -e 's/LWP [0-9]*/LWP N/g' -e 's/process [0-9]*/process N/g' |
	grep -v '^  1 ' | tr -s ' '
