# Four loads of sysbench with four threads and a fixed number of events; the times it prints are left out.
load() {
	echo $1
	sysbench --threads=4 --time=0 "$@" run |
		grep -E -o -e 'Threads started' -e 'total number of events: .*' -e '^[0-9.]+ MiB transferred' | tr -s ' '
}
load cpu --events=40 --cpu-max-prime=2000
load memory --memory-block-size=64K --memory-total-size=8M
load threads --events=40 --thread-yields=20 --thread-locks=4
load mutex --mutex-num=16 --mutex-locks=200 --mutex-loops=100
