/* A free list whose pop compares only the head: it may be the same node above another list. */
#include "bugs.h"

static struct node {
	struct node *volatile next;
	volatile int taken;
} nodes[2] = { { &nodes[1], 0 }, { NULL, 0 } }, *volatile head = &nodes[0];

static struct node *pop(void)
{
	struct node *top, *next;

	do {
		top = head;
		if (!top)
			return NULL;
		next = top->next;
	} while (!__sync_bool_compare_and_swap(&head, top, next));
	CHECK(!top->taken);
	top->taken = 1;
	return top;
}

static void push(struct node *node)
{
	node->taken = 0;
	do
		node->next = head;
	while (!__sync_bool_compare_and_swap(&head, node->next, node));
}

static void *pop_two(void *unused)
{
	pop();
	pop();
	return unused;
}

static void *pop_two_push_one(void *unused)
{
	struct node *first = pop();

	pop();
	if (first)
		push(first);
	return unused;
}

int main(void)
{
	run_both(pop_two_push_one, pop_two);
	return 0;
}
