/*
 * events.c - the ring of what the core has done, for who looks.
 *
 * Off, machine->events is NULL and a point is one branch.  On, a point writes a record of fixed
 * size into a ring of the host's memory: nothing of the machine is allocated, counted or moved.
 * Python drains it in batches and puts its own records in between, so that one order holds for
 * all.  A record that finds no room is counted and leaves a gap in the sequence numbers.
 *
 * A record's time is the clock's, and what the blocks of the running slice will put on it.
 */
#include "core.h"
#include "host.h"

#include <stdlib.h>

_Static_assert(sizeof(struct event) == 64, "an event is one line");
_Static_assert(NR_EVENTS <= EVENT_OTHER, "a bit for each kind");

int64_t machine_events_on(machine *m, uint64_t nr_records)
{
	if (!nr_records || nr_records & (nr_records - 1) || nr_records > UINT32_MAX)
		return -EINVAL;
	if (m->events)
		return -EBUSY;
	struct event_ring *ring = calloc(1, sizeof(*ring));
	struct event *records = host_reserve(nr_records * sizeof(*records));
	if (!ring || !records) {
		if (records)
			host_release(records, nr_records * sizeof(*records));
		free(ring);
		return -ENOMEM;
	}
	ring->nr_records = nr_records;
	ring->records = records;
	m->events = ring;
	return 0;
}

void machine_events_off(machine *m)
{
	struct event_ring *ring = m->events;
	if (!ring)
		return;
	m->events = NULL;
	host_release(ring->records, ring->nr_records * sizeof(*ring->records));
	free(ring);
}

struct event_ring *machine_events(machine *m) { return m->events; }

static struct event *record_at(const struct event_ring *ring, uint64_t nth)
{
	return &ring->records[(ring->first + nth) & (ring->nr_records - 1)];
}

/* Its number; -1: there is no room. */
static int64_t write_record(machine *m, uint64_t kind, uint64_t pid, const uint64_t *words)
{
	struct event_ring *ring = m->events;
	const struct vsyscall_data *clock = machine_vsyscall_data(m);
	uint64_t seq = ring->seq++;
	if (ring->nr_waiting == ring->nr_records) {
		ring->lost++;
		return -1;
	}
	struct event *event = record_at(ring, ring->nr_waiting++);
	event->seq = seq;
	event->time_ns = (clock ? clock->realtime_ns : 0) + ring->ahead_ns;
	event->kind = (uint32_t)kind;
	event->pid = (uint32_t)pid;
	memcpy(event->words, words, sizeof(event->words));
	if (m->journal)
		machine_journal_note(m, seq);
	return (int64_t)seq;
}

void event_record(machine *m, enum event_kind kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
		  uint64_t e)
{
	const uint64_t words[] = { a, b, c, d, e };
	m->events->stopping |= m->events->stops >> kind & 1;
	if (m->events->kinds >> kind & 1)
		write_record(m, kind, m->events->pid, words);
}

/* With the error code that a processor would push. */
void exception_record(mm *mm, uint64_t addr, uint64_t access, uint64_t own)
{
	const uint64_t user = 4, present = addr < mm->counters.task_size && pte_at(mm, addr) & 1;
	event_record(mm->machine, EVENT_EXCEPTION, addr, mm->machine->events->ip,
		     (access & (ACCESS_WRITE | ACCESS_EXEC)) | (own ? user : 0) | present, own, 0);
}

int64_t machine_event(machine *m, uint64_t pid)
{
	const uint64_t words[5] = { 0 };
	return m->events ? write_record(m, EVENT_OTHER, pid, words) : -1;
}

int64_t machine_events_take(machine *m, struct event *out, uint64_t max)
{
	struct event_ring *ring = m->events;
	uint64_t n = 0;
	if (!ring)
		return 0;
	for (; n < max && n < ring->nr_waiting; n++)
		out[n] = *record_at(ring, n);
	ring->first += n;
	ring->nr_waiting -= n;
	return (int64_t)n;
}
