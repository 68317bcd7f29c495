/*
 * sites.c - a table of addresses where something of the core's is: a hash table, grown by doubling.
 */
#include "processor.h"

#include <stdlib.h>

#define FIRST_ROOM 64

/* The site at address, or a free one where it would be.  There is room: sites_make_room(). */
struct code_site *site_at(const struct code_sites *s, uint64_t address)
{
	uint64_t mask = s->room - 1, i = (address * 0x9e3779b97f4a7c15ul >> 32) & mask;

	while (s->at[i].address && s->at[i].address != address)
		i = (i + 1) & mask;
	return &s->at[i];
}

/* For one more; false: the host has no memory. */
bool sites_make_room(struct code_sites *s)
{
	struct code_sites more = { .room = s->room ? 2 * s->room : FIRST_ROOM };

	if (2 * s->nr < s->room)
		return true;
	more.at = calloc(more.room, sizeof(*more.at));
	if (!more.at)
		return false;
	for (uint64_t i = 0; i < s->room; i++)
		if (s->at[i].address)
			*site_at(&more, s->at[i].address) = s->at[i];
	free(s->at);
	s->at = more.at;
	s->room = more.room;
	return true;
}
