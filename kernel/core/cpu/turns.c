/*
 * turns.c - who runs next, and turns that begin without Python.
 *
 * Owns the queue of those that can run.  Where a thread gives way in the core itself (futex.c), and the next in the
 * queue is its kin, that one's turn begins here; all else about turns is Python's.  Kin are the threads
 * of one process of which Python has said that nothing but their registers, and what the clock says, tells their
 * turns apart: kernel/tasks/kin.py says who is.  Whoever changes that lets nobody be kin any more, by a new
 * number in the limits of the process.
 *
 * A turn that begins here is as Python's would be: counted, with a whole slice, charged with its time when it is over.
 * Invariant: who is in the queue and has kin was put there by wake_context().
 */
#include "processor.h"

/* Then Python looks whether the host wants anything. */
#define MOST_TURNS 1000
#define MOST_NS 10000000ul

static context *of_turn(struct link *l) { return container_of(l, context, turn); }

/* ---- the queue ---- */

static void enter_before(struct link *at, context *c)
{
	c->runner->queued = 1;
	link_before(at, &c->turn);
}

void queue_add(context *c)
{
	if (c->runner->queued)
		return;
	c->runner->kin = 0;
	enter_before(&c->p->queue, c);
}

void queue_add_first(context *c)
{
	c->runner->kin = 0;
	enter_before(c->p->queue.next, c);
}

void queue_take(context *c)
{
	c->runner->queued = 0;
	link_take(&c->turn);
}

void *queue_next(processor *p)
{
	if (is_alone(&p->queue))
		return NULL;
	context *c = of_turn(p->queue.next);
	queue_take(c);
	return c->owner;
}

uint64_t queue_owners(processor *p, void **owners, uint64_t max)
{
	uint64_t nr = 0;

	for (struct link *l = p->queue.next; l != &p->queue; l = l->next, nr++)
		if (nr < max)
			owners[nr] = of_turn(l)->owner;
	return nr;
}

/* ---- turns ---- */

void context_belongs(context *c, void *owner, struct runner *runner)
{
	c->owner = owner;
	c->runner = runner;
}

struct run_turn *run_turn(processor *p) { return &p->turn; }
void *run_owner(processor *p) { return p->current ? p->current->owner : NULL; }

bool is_kin(const context *c)
{
	return c->runner && c->runner->kin && c->runner->kin == c->mm->limits->kin;
}

void wake_context(context *c)
{
	c->runner->woken = 1;
	enter_before(&c->p->queue, c);
}

void turn_begin(context *c, uint64_t kin)
{
	c->runner->kin = kin;
	c->p->turn.began_ns = *c->p->clock;
	c->p->counters.turns++;
}

uint64_t turn_charge(processor *p, struct runner *runner)
{
	uint64_t ran = *p->clock - p->turn.began_ns;

	runner->cpu_ns += ran;
	p->turn.began_ns = *p->clock;
	return ran;
}

static bool may_begin(processor *p, const context *c)
{
	return c->mm == p->current->mm && is_kin(c) && *p->clock < *p->due &&
	       p->turn.passed < MOST_TURNS && p->turn.ran_ns < MOST_NS && !p->machine->events;
}

bool next_turn(processor *p)
{
	context *c = of_turn(p->queue.next);

	if (is_alone(&p->queue) || !may_begin(p, c))
		return false;
	p->turn.ran_ns += turn_charge(p, p->current->runner);
	p->turn.passed++;
	queue_take(c);
	context_load(c);
	mm_set_runner(c->mm, c->runner);
	turn_begin(c, c->runner->kin);
	run_slice(p, p->turn.least, p->turn.most);
	return true;
}
