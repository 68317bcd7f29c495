/*
 * shared.c - parent and child in one shared page, taking turns by futex.
 */
#include "raw.h"

#define TURNS 20
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1

struct table {
	uint32_t turn;
	uint32_t count;
	char line[2 * TURNS + 1];
};

static void wait_for(uint32_t *word, uint32_t wanted)
{
	uint32_t now;

	while ((now = __atomic_load_n(word, __ATOMIC_ACQUIRE)) != wanted) {
		long result = raw6(SYS_futex, (long)word, FUTEX_WAIT, now, 0, 0, 0);

		must(result == 0 || result == -EAGAIN || result == -EINTR, "futex wait");
	}
}

static void hand_over(uint32_t *word, uint32_t to)
{
	__atomic_store_n(word, to, __ATOMIC_RELEASE);
	must(raw6(SYS_futex, (long)word, FUTEX_WAKE, 1, 0, 0, 0) >= 0, "futex wake");
}

static void play(struct table *t, uint32_t me, char letter)
{
	for (int i = 0; i < TURNS; i++) {
		wait_for(&t->turn, me);
		t->line[t->count++] = letter;
		hand_over(&t->turn, !me);
	}
}

static void game(const char *what, struct table *t)
{
	int status;

	t->turn = t->count = 0;
	memset(t->line, 0, sizeof(t->line));
	if (sys_fork() == 0) {
		play(t, 1, 'c');
		sys_exit(7);
	}
	play(t, 0, 'P');
	status = reap();
	say("%s: child's status %d, %u turns: %s\n", what, status, t->count, t->line);
}

int main(void)
{
	int file = (int)sys_memfd("table");
	uint32_t word = 5;

	must(file >= 0 && sys_ftruncate(file, PAGE) == 0, "memfd_create");
	say("a value that has changed: %ld\n",
	    raw6(SYS_futex, (long)&word, FUTEX_WAIT, 4, 0, 0, 0));
	say("nobody waits: %ld\n", raw6(SYS_futex, (long)&word, FUTEX_WAKE, 1, 0, 0, 0));
	game("anonymous", (struct table *)map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1));
	game("a file", (struct table *)map(PAGE, RW, MAP_SHARED, file));
	return 0;
}
