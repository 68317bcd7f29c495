/*
 * clock.c - what time it is: by the system call, and by the calls at fixed addresses.
 *
 * usage: clock [rounds].  The first letter of each line says who answered.
 */
#include "raw.h"

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1;
	struct timeval called, fixed;
	unsigned cpu = 0;

	for (long i = 0; i < rounds; i++) {
		raw3(SYS_gettimeofday, (long)&called, 0, 0);
		((long (*)(void *, void *))0xffffffffff600000)(&fixed, NULL);
		((long (*)(void *, void *, void *))0xffffffffff600800)(&cpu, NULL, NULL);
		say("syscall: gettimeofday %ld.%06ld time %ld\n", called.tv_sec, called.tv_usec,
		    raw3(SYS_time, 0, 0, 0));
		say("vsyscall: gettimeofday %ld.%06ld time %ld cpu %u\n", fixed.tv_sec,
		    fixed.tv_usec, ((long (*)(long *))0xffffffffff600400)(NULL), cpu);
	}
	return 0;
}
