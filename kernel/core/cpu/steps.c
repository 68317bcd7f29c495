/*
 * steps.c - slices that count instructions instead of blocks, for who explores orders of tasks.
 *
 *	run_by_instructions()  each instruction counts
 *	run_by_accesses()      only one that has touched a page which two tasks share, and one writes
 *
 * Every instruction has a hook then, or every load and store too, and takes several times as long; so a
 * processor counts blocks until it is asked.  An instruction that is made again because the engine was
 * left in its middle is counted once; one that a page had to be brought for, twice.
 *
 * Which pages are shared is known only when the second task comes to one.  A run before tells those that
 * will be, by their linear addresses.  A frame that holds something else later stays shared: that makes
 * more points, none fewer.
 */
#include "processor.h"

#include <stdlib.h>

static void end_slice_here(processor *p)
{
	p->exit.reason = RUN_BUDGET;
	p->stopped = true;
	p->lib.call.stop(p->uc);
}

static void step_hook(engine *uc, uint64_t address, uint32_t size, void *arg)
{
	processor *p = arg;

	(void)uc, (void)size;
	if (!p->probing)
		p->step_at = address;
	if (p->stopped || p->probing || !p->mm)
		return;
	if (p->stepped || (p->watching && !p->touched)) {
		p->stepped = false;
		return;
	}
	if (p->steps_left) {
		p->steps_left--;
		p->touched = false;
		return;
	}
	end_slice_here(p);
}

static void note_access(processor *p, uint64_t linear, uint64_t physical, int size, bool writes)
{
	if (p->nr_notes == p->room_notes) {
		uint64_t room = p->room_notes ? 2 * p->room_notes : 64;
		struct access_note *more = realloc(p->notes, room * sizeof(*more));

		if (!more) {
			p->lost_note = true;
			return;
		}
		p->notes = more;
		p->room_notes = room;
	}
	p->notes[p->nr_notes++] = (struct access_note){
		physical, linear, (uint64_t)size, writes, p->step_at,
	};
}

/* The engine tells the physical address. */
static void access_hook(engine *uc, int type, uint64_t address, int size, int64_t value, void *arg)
{
	processor *p = arg;
	uint64_t pfn = address >> PAGE_SHIFT;

	(void)uc, (void)value;
	if (p->probing || pfn >= p->machine->nr_pages)
		return;
	struct frame_use *use = &p->frames[pfn];
	if (!use->accessor)
		use->accessor = p->current;
	use->shared |= use->accessor != p->current;
	use->written |= type == MEM_WRITE;
	p->touched |= use->shared && use->written;
	if (p->noting && use->shared && use->written)
		note_access(p, use->linear | (address & ~PAGE_MASK), address, size,
			    type == MEM_WRITE);
}

static bool will_be_shared(const processor *p, uint64_t linear)
{
	uint64_t low = 0, high = p->nr_shared;

	while (low < high) {
		uint64_t middle = (low + high) / 2;

		if (p->shared[middle] < linear)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->nr_shared && p->shared[low] == linear;
}

/* A frame is about to be shown at linear. */
void steps_note_fill(processor *p, struct frame_use *use, uint64_t linear)
{
	if (!p->watching)
		return;
	use->linear = linear;
	if (will_be_shared(p, linear))
		use->shared = use->written = true;
}

int64_t run_by_instructions(processor *p)
{
	const struct engine_hook_spec spec = { HOOK_CODE, 0, (any_hook)step_hook };

	if (p->stepping)
		return 0;
	if (engine_add_hook(&p->lib, p->uc, &spec, 1, 0, p))
		return -ENOMEM;
	p->lib.call.control(p->uc, CONTROL_TB_FLUSH); /* code that was translated without */
	p->stepping = true;
	return 0;
}

int64_t run_by_accesses(processor *p, const uint64_t *linear, uint64_t nr)
{
	const struct engine_hook_spec spec = { HOOK_ACCESS, 0, (any_hook)access_hook };
	uint64_t *shared = nr ? malloc(nr * sizeof(*shared)) : NULL;

	if (p->watching || (nr && !shared)) {
		free(shared);
		return p->watching ? -EBUSY : -ENOMEM;
	}
	for (uint64_t i = 0; i < nr; i++)
		shared[i] = linear[i];
	p->shared = shared;
	p->nr_shared = nr;
	if (engine_add_hook(&p->lib, p->uc, &spec, 1, 0, p))
		return -ENOMEM;
	p->watching = true;
	return run_by_instructions(p);
}

void run_note_accesses(processor *p) { p->noting = true; }

int64_t run_take_notes(processor *p, struct access_note *out, uint64_t max)
{
	uint64_t nr = p->nr_notes < max ? p->nr_notes : max;

	if (p->lost_note)
		return -ENOMEM;
	if (!nr)
		return 0;
	memcpy(out, p->notes, nr * sizeof(*out));
	p->nr_notes -= nr;
	memmove(p->notes, p->notes + nr, p->nr_notes * sizeof(*out));
	return (int64_t)nr;
}

/* The linear pages that were shared, up to max; how many there are. */
uint64_t run_shared_pages(processor *p, uint64_t *linear, uint64_t max)
{
	const machine *m = p->machine;
	uint64_t nr = 0;

	/* A copy of the machine that read of frames which nobody ever had would have them copied too. */
	for (uint64_t pfn = handed_out_from(m, 0); pfn < m->nr_pages;
	     pfn = handed_out_from(m, pfn + 1)) {
		const struct frame_use *use = &p->frames[pfn];

		if (!use->shared || !use->written)
			continue;
		if (nr < max)
			linear[nr] = use->linear;
		nr++;
	}
	return nr;
}
