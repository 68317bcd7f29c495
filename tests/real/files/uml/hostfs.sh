export HOME=$PWD LD_PRELOAD=$XSTATE
linux.uml mem=64M root=/dev/root rootfstype=hostfs rootflags=/ ro quiet con=null con0=fd:0,fd:1 \
	init=$FILES/uml/script.sh 2>&1 | tr -d '\r' | grep -e in-uml -e Power
