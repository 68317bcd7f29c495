/*
 * Restartable sequences and robust futexes: a signal inside a sequence sends it to its abort
 * address; a lock whose owner dies is marked and its waiter woken. Prints the same on Linux and
 * here. Built against musl, which names no struct rseq of its own.
 */
#define _GNU_SOURCE
#include "asleep.h"
#include "results.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIGNATURE 0x53053053
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN 28
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_WAITERS 0x80000000
#define FUTEX_OWNER_DIED 0x40000000

struct area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t sequence;
	uint32_t flags, node_id, mm_cid;
} __attribute__((aligned(32)));

struct sequence {
	uint32_t version, flags;
	uint64_t start, nbytes, abort;
} __attribute__((aligned(32)));

struct entry {
	struct entry *next;
	uint32_t word;
};

struct head {
	struct entry *first;
	long offset;
	struct entry *pending;
};

static struct area area;
static volatile int handled;

static long rseq(void *addr, uint32_t nbytes, int flags, uint32_t signature)
{
	return syscall(SYS_rseq, addr, nbytes, flags, signature);
}

static void on_alarm(int signo) { handled = signo; }

/* Spin until something comes between: only the abort address leads out. */
static int spin_in_sequence(void)
{
	static struct sequence here;
	int aborted;

	here.nbytes = 0;
	__asm__ volatile("lea 1f(%%rip), %%rax\n\t"
			 "mov %%rax, 8(%[here])\n\t"
			 "lea 2f(%%rip), %%rcx\n\t"
			 "sub %%rax, %%rcx\n\t"
			 "mov %%rcx, 16(%[here])\n\t"
			 "lea 4f(%%rip), %%rax\n\t"
			 "mov %%rax, 24(%[here])\n\t"
			 "xor %[aborted], %[aborted]\n\t"
			 "mov %[here], %[place]\n\t"
			 "1: pause\n\t"
			 "jmp 1b\n\t"
			 "2: jmp 5f\n\t"
			 ".long 0x53053053\n\t"
			 "4: mov $1, %[aborted]\n\t"
			 "5:\n\t"
			 : [aborted] "=&r"(aborted), [place] "+m"(area.sequence)
			 : [here] "r"(&here)
			 : "rax", "rcx", "memory");
	return aborted;
}

static void sequences(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	int aborted;

	say("too short", rseq(&area, 31, 0, SIGNATURE));
	say("misaligned", rseq((char *)&area + 8, 32, 0, SIGNATURE));
	say("nothing known", rseq(&area, 32, 1, SIGNATURE));
	say("register", rseq(&area, 32, 0, SIGNATURE));
	say("again", rseq(&area, 32, 0, SIGNATURE));
	say("other signature", rseq(&area, 32, 0, 1));
	say("other size", rseq(&area, 64, 0, SIGNATURE));
	say("number is set", area.cpu_id == area.cpu_id_start);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &soon, NULL);
	do /* the end of a time slice comes between, too */
		aborted = spin_in_sequence();
	while (!handled);
	say("aborted", aborted);
	say("sequence", (long)area.sequence);
	say("leave", rseq(&area, 32, 1, SIGNATURE));
	say("number", (int32_t)area.cpu_id == -1);
}

static void wrong_signature(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	int status;

	if (!fork()) {
		rseq(&area, 32, 0, 0x1234);
		setitimer(ITIMER_REAL, &soon, NULL);
		_exit(spin_in_sequence());
	}
	wait(&status);
	say("wrong signature, signal", WTERMSIG(status));
}

static void locks(void)
{
	struct page {
		struct head head;
		struct entry one, two, other;
		uint32_t ready;
	} *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *found;
	size_t length;
	pid_t child;
	int status;

	child = fork();
	if (!child) {
		pid_t me = getpid();

		shared->one = (struct entry){ &shared->two, me };
		shared->two = (struct entry){ &shared->other, me | FUTEX_WAITERS };
		shared->other = (struct entry){ (void *)&shared->head, 1 };
		shared->head = (struct head){ &shared->one, offsetof(struct entry, word), NULL };
		say("too short", syscall(SYS_set_robust_list, &shared->head, 8));
		say("set", syscall(SYS_set_robust_list, &shared->head, sizeof(struct head)));
		syscall(SYS_get_robust_list, 0, &found, &length);
		say("get", found == &shared->head && length == 24);
		shared->ready = me;
		syscall(SYS_futex, &shared->ready, FUTEX_WAKE, 1, NULL, NULL, 0);
		until_in(getppid(), SYS_futex);
		_exit(0);
	}
	while (!shared->ready)
		syscall(SYS_futex, &shared->ready, FUTEX_WAIT, 0, NULL, NULL, 0);
	say("wait", syscall(SYS_futex, &shared->two.word, FUTEX_WAIT, child | FUTEX_WAITERS, NULL,
			    NULL, 0));
	wait(&status);
	say("died", shared->one.word == FUTEX_OWNER_DIED);
	say("died, with waiters", shared->two.word == (FUTEX_OWNER_DIED | FUTEX_WAITERS));
	say("another's", shared->other.word);
}

int main(void)
{
	printf("used %lu, aligned %lu\n", getauxval(AT_RSEQ_FEATURE_SIZE),
	       getauxval(AT_RSEQ_ALIGN));
	sequences();
	wrong_signature();
	locks();
	return 0;
}
