/*
 * futex.c - threads that sleep on a word of their memory, and wake each other, without Python.
 *
 * The sleepers of a word are either all the core's or all Python's.  They are the core's while each came by a
 * FUTEX_WAIT or WAIT_BITSET on a private word, without a timeout, in a thread with kin (turns.c).  Python
 * takes them over, in their order, when it wants to know of them, or has a sleeper of its own; then it
 * holds the word, and gets every call about it (or about another that shares its bucket).
 *
 * What else a call may ask for is Python's: shared words, requeueing, locks with an owner, everything that fails.
 */
#include "processor.h"

#include <linux/futex.h>

#define ALL_BITS 0xffffffffu

static uint64_t bucket_of(uint64_t addr) { return addr / sizeof(uint32_t) % WORD_BUCKETS; }
static context *of_sleep(struct link *l) { return container_of(l, context, sleep); }

void words_open(processor *p)
{
	for (uint64_t i = 0; i < WORD_BUCKETS; i++)
		link_alone(&p->words.sleepers[i]);
}

void word_hold(processor *p, uint64_t addr) { p->words.held[bucket_of(addr)]++; }
void word_release(processor *p, uint64_t addr) { p->words.held[bucket_of(addr)]--; }

/* The first behind l that sleeps on the word; the head of the ring: none does. */
static struct link *next_sleeper(struct link *l, struct link *head, const mm *mm, uint64_t addr)
{
	for (l = l->next; l != head; l = l->next)
		if (of_sleep(l)->mm == mm && of_sleep(l)->runner->asleep == addr)
			break;
	return l;
}

static void end_sleep(context *c)
{
	link_take(&c->sleep);
	c->runner->asleep = 0;
}

uint64_t word_has_sleepers(mm *mm, processor *p, uint64_t addr)
{
	struct link *head = &p->words.sleepers[bucket_of(addr)];

	return next_sleeper(head, head, mm, addr) != head;
}

void *word_take(mm *mm, processor *p, uint64_t addr)
{
	struct link *head = &p->words.sleepers[bucket_of(addr)];
	struct link *found = next_sleeper(head, head, mm, addr);

	if (found == head)
		return NULL;
	end_sleep(of_sleep(found));
	return of_sleep(found)->owner;
}

/* Wake up to count sleepers with one of the bits; how many.  -EAGAIN, and none: one is no kin. */
static int64_t wake(processor *p, uint64_t addr, int64_t count, uint32_t bits)
{
	struct link *head = &p->words.sleepers[bucket_of(addr)], *l = head, *next;
	int64_t nr = 0;

	while ((l = next_sleeper(l, head, p->mm, addr)) != head && nr < count)
		if (of_sleep(l)->runner->bits & bits) {
			if (!is_kin(of_sleep(l)))
				return -EAGAIN;
			nr++;
		}
	l = next_sleeper(head, head, p->mm, addr);
	for (int64_t left = nr; left; l = next) {
		next = next_sleeper(l, head, p->mm, addr);
		if (!(of_sleep(l)->runner->bits & bits))
			continue;
		end_sleep(of_sleep(l));
		wake_context(of_sleep(l));
		left--;
	}
	return nr;
}

static void go_to_sleep(processor *p, const struct question *q, uint32_t bits)
{
	context *c = p->current;

	c->runner->bits = bits;
	c->runner->asleep = q->args[0];
	c->runner->call[0] = q->nr;
	memcpy(&c->runner->call[1], q->args, sizeof(q->args));
	link_before(&p->words.sleepers[bucket_of(q->args[0])], &c->sleep);
	p->exit.reason = RUN_SLEEP;
	p->stopped = true;
}

/* A need and a fault are Python's: nothing is brought here. */
static bool read_word(processor *p, uint64_t addr, uint32_t *word)
{
	return mm_translate(p->mm, addr, ACCESS_READ) >= 0 &&
	       user_read(p->mm, addr, word, sizeof(*word)) == sizeof(*word);
}

static bool answer_wait(processor *p, const struct question *q, uint32_t bits, uint64_t *rax)
{
	uint32_t word;

	if (q->args[3] || !read_word(p, q->args[0], &word))
		return false;
	if (word == (uint32_t)q->args[2]) {
		if (!is_kin(p->current))
			return false;
		go_to_sleep(p, q, bits);
		return true;
	}
	count_work(p, 1);
	*rax = (uint64_t)-EAGAIN;
	return true;
}

static bool answer_wake(processor *p, const struct question *q, uint32_t bits, uint64_t *rax)
{
	int64_t count = (int32_t)q->args[2];
	int64_t woken = wake(p, q->args[0], count < 1 ? 1 : count, bits);

	if (woken < 0)
		return false;
	count_work(p, 1);
	*rax = (uint64_t)woken;
	return true;
}

bool answer_futex(processor *p, const struct question *q, uint64_t *rax)
{
	uint64_t addr = q->args[0], held = p->words.held[bucket_of(addr)];
	uint32_t bits = (uint32_t)q->args[5];

	if (held || !addr || addr % sizeof(uint32_t) || addr >= p->mm->counters.task_size)
		return false;
	switch ((uint32_t)q->args[1]) {
	case FUTEX_WAIT_PRIVATE:
		return answer_wait(p, q, ALL_BITS, rax);
	case FUTEX_WAIT_BITSET_PRIVATE:
	case FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME:
		return bits && answer_wait(p, q, bits, rax);
	case FUTEX_WAKE_PRIVATE:
		return answer_wake(p, q, ALL_BITS, rax);
	case FUTEX_WAKE_BITSET_PRIVATE:
		return bits && answer_wake(p, q, bits, rax);
	default:
		return false;
	}
}
