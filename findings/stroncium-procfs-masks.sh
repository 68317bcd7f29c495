#!/usr/bin/env bash
# @stroncium/procfs 1.2.1 (npm): masks of /proc are cut at a comma, or to one digit; fd 0 is refused.
# Expected (cpuset(7), "Mask format": 32-bit words in hexadecimal, separated by commas; proc(5),
#   "/proc/pid/fdinfo": sigmask in hexadecimal, and every descriptor has its entry, 0 too).
# Seen: Mems_allowed 00000000,00000001 is 0 (this length is what kernels with room for 64 nodes and more
#   print); a signalfd for SIGUSR1 and SIGCHLD has the mask 0; processFdinfo(0) throws a TypeError.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
npm install --silent --no-audit --no-fund --cache "$W/npm" --prefix "$W" @stroncium/procfs@1.2.1 >npm.log
mkdir -p proc/7/fdinfo
printf 'Name:\tprog\nPid:\t7\nCpus_allowed:\tf\nMems_allowed:\t00000000,00000001\n' >proc/7/status
printf 'pos:\t0\nflags:\t02\nmnt_id:\t1\n' | tee proc/7/fdinfo/0 >proc/7/fdinfo/1
printf 'pos:\t0\nflags:\t02\nmnt_id:\t15\nsigmask:\t0000000000010200\n' >proc/7/fdinfo/3
cat >t.js <<'J'
const {Procfs} = require('@stroncium/procfs');
const proc = new Procfs('proc');
const status = proc.processStatus(7);
console.log('Cpus_allowed f:', status.cpusAllowedMask);
console.log('Mems_allowed 00000000,00000001:', status.memoriesAllowedMask);
console.log('sigmask 0000000000010200:', proc.processFdinfo(3, 7).signalMask);
for (const fd of [0, 1]) {
	try {
		console.log('fdinfo', fd, proc.processFdinfo(fd, 7).type);
	} catch (error) {
		console.log('fdinfo', fd, error.name);
	}
}
J
expect "proc" "$(node t.js)" \
"Cpus_allowed f: 15
Mems_allowed 00000000,00000001: 0
sigmask 0000000000010200: 0
fdinfo 0 TypeError
fdinfo 1 regular"
