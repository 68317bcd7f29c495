/* Double-checked locking that shows the object before it is filled. */
#include "bugs.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile struct {
	int value;
} storage, *volatile object;

static void *use(void *unused)
{
	if (!object) {
		pthread_mutex_lock(&lock);
		if (!object) {
			object = &storage;
			storage.value = 42;
		}
		pthread_mutex_unlock(&lock);
	}
	CHECK(object->value == 42);
	return unused;
}

int main(void)
{
	run_both(use, use);
	return 0;
}
