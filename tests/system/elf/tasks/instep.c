/*
 * instep.c - a thread in a loop of so many blocks, of which it lets another thread pass in two.
 *
 * The other looks at each of its turns.  Where all turns are a multiple of the loop it may see the same place for ever.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define MOST_LOOKS 500
static int held, stop;

/* count goes down to 0 in a block each time; the store and the jump back are two. */
static void *round_and_round(void *arg)
{
	long blocks = (long)arg, count;

	__asm__ volatile("1: movl $1, %[held]\n"
			 "mov %[blocks], %[count]\n"
			 "2: dec %[count]\n"
			 "jnz 2b\n"
			 "movl $0, %[held]\n"
			 "jmp 3f\n"
			 "3: cmpl $0, %[stop]\n"
			 "je 1b\n"
			 : [count] "=&r"(count), [held] "+m"(held), [stop] "+m"(stop)
			 : [blocks] "r"(blocks)
			 : "cc", "memory");
	return 0;
}

static int is_passed(long blocks)
{
	pthread_t thread;
	int looks = 0;

	held = 1;
	stop = 0;
	pthread_create(&thread, 0, round_and_round, (void *)(blocks - 2));
	while (__atomic_load_n(&held, __ATOMIC_SEQ_CST) && looks < MOST_LOOKS) {
		sched_yield();
		looks++;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, 0);
	return looks < MOST_LOOKS;
}

int main(void)
{
	static const int loops[] = { 16, 25, 40, 50, 80, 100, 125, 160, 200 };

	for (unsigned i = 0; i < sizeof(loops) / sizeof(*loops); i++)
		printf("%d: %s\n", loops[i], is_passed(loops[i]) ? "passed" : "never");
	return 0;
}
