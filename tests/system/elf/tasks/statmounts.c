/* statmount, listmount, open_tree_attr: mounts by their numbers, in a namespace of one's own. */
#define _GNU_SOURCE
#include "../userns.h"
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct asked {
	uint32_t size, spare;
	uint64_t number, param, space;
};

struct told {
	uint32_t size, options;
	uint64_t mask;
	uint32_t major, minor;
	uint64_t magic;
	uint32_t sb_flags, type;
	uint64_t number, above;
	uint32_t old_number, old_above;
	uint64_t attributes, propagation, peers, master, from;
	uint32_t root, point;
	uint64_t space;
	uint32_t subtype, source, nr_options, each_option, nr_security, security;
	uint64_t supported;
	uint32_t nr_uids, uids, nr_gids, gids;
	uint64_t spare[43];
	char texts[2048];
};

static struct told found;
static uint64_t numbers[100];

static uint64_t number_of(const char *path)
{
	struct statx at;

	memset(&at, 0, sizeof at);
	syscall(SYS_statx, AT_FDCWD, path, 0, 0x4000, &at);
	uint64_t number;
	memcpy(&number, (char *)&at + 0x90, sizeof number);
	return number;
}

static long look(struct asked *asked, void *at, size_t bytes, unsigned flags)
{
	memset(&found, 0, sizeof found);
	return result(syscall(457, asked, at, bytes, flags));
}

static long list(struct asked *asked, void *at, size_t count, unsigned flags)
{
	return result(syscall(458, asked, at, count, flags));
}

static void text(const char *what, uint32_t at)
{
	printf(" %s %s", what, at ? found.texts + at : "-");
}

static void one(const char *path, uint64_t above)
{
	struct asked asked = { 32, 0, number_of(path), 0x7fff, 0 };

	printf("%s: %ld", path, look(&asked, &found, sizeof found, 0));
	printf(" size %u mask %lx magic %lx flags %x", found.size, found.mask, found.magic,
	       found.sb_flags);
	printf(" number %d above %d old %d", found.number == asked.number, found.above == above,
	       found.old_number != 0);
	printf(" attributes %lx propagation %lx peers %d master %d space %d supported %lx\n",
	       found.attributes, found.propagation, found.peers != 0, found.master != 0,
	       found.space != 0, found.supported);
	text("type", found.type);
	text("root", found.root);
	text("point", found.point);
	text("options", found.options);
	text("source", found.source);
	text("each", found.each_option);
	printf(" %u %u %u\n", found.nr_options, found.nr_security, found.nr_uids);
}

static void bounds(const char *path)
{
	struct asked asked = { 32, 0, number_of(path), 2, 0 };

	for (size_t bytes = 0; bytes < 600; bytes += 90) {
		long done = look(&asked, &found, bytes, 0);
		printf("%ld:%u:%lx ", done, found.size, found.mask);
	}
	asked.param = 0x10;
	size_t enough = 0;
	while (look(&asked, &found, enough, 0))
		enough++;
	printf("\nwhat is enough for a text: %ld more than its size %u\n",
	       (long)enough - (long)found.size, found.size > 512);
	for (int bit = 0; bit < 16; bit++) {
		asked.param = 1ul << bit;
		long done = look(&asked, &found, sizeof found, 0);
		printf("%ld:%lx:%d ", done, found.mask, found.size > 512);
	}
	puts("\nroom for a text that there is not");
	for (size_t bytes = 510; bytes < 515; bytes++) {
		asked.param = 0x100;
		memset(&found, 0xee, sizeof found);
		long done = look(&asked, &found, bytes, 0);
		printf("%ld:%u:%x ", done, found.size, found.texts[0] & 0xff);
	}
	asked.param = 1ul << 40;
	printf("\nan unknown bit %ld %u %lx\n", look(&asked, &found, sizeof found, 0), found.size,
	       found.mask);
}

static void lists(const char *path)
{
	struct asked asked = { 32, 0, number_of(path), 0, 0 };
	char long_one[200] = { 0 };

	printf("below: %ld", list(&asked, numbers, 100, 0));
	printf(" in order %d", numbers[0] < numbers[1] && numbers[1] < numbers[2]);
	uint64_t first = numbers[0], second = numbers[1], third = numbers[2];
	printf(" two %ld", list(&asked, numbers, 2, 0));
	asked.param = first;
	printf(" behind the first %ld %d", list(&asked, numbers, 100, 0), numbers[0] == second);
	asked.param = 0;
	printf(" the last %ld %d", list(&asked, numbers, 1, 1), numbers[0] == third);
	asked.param = third;
	printf(" before it %ld %d", list(&asked, numbers, 100, 1), numbers[0] == second);
	asked.param = 7;
	printf(" a small one %ld", list(&asked, numbers, 100, 0));
	asked.param = ~0ul;
	printf(" the greatest %ld\n", list(&asked, numbers, 100, 0));
	asked.param = 0;
	printf("flag %ld none %ld million %ld more %ld nowhere %ld kernel %ld\n",
	       list(&asked, numbers, 100, 2), list(&asked, numbers, 0, 0),
	       list(&asked, (void *)8, 1, 0), list(&asked, numbers, 1000001, 0),
	       list(&asked, (void *)8, 1, 0), list(&asked, (void *)-4096ul, 1, 0));
	asked.spare = 1;
	printf("spare %ld", list(&asked, numbers, 100, 0));
	asked.spare = 0;
	asked.size = 20;
	printf(" short %ld", list(&asked, numbers, 100, 0));
	asked.size = 24;
	printf(" old %ld", list(&asked, numbers, 100, 0));
	asked.size = 5000;
	printf(" long %ld", list(&asked, numbers, 100, 0));
	asked.size = 100;
	memcpy(long_one, &asked, sizeof asked);
	printf(" longer %ld", list((void *)long_one, numbers, 100, 0));
	long_one[99] = 1;
	printf(" with more %ld", list((void *)long_one, numbers, 100, 0));
	asked.size = 32;
	asked.space = 12345;
	printf(" of no namespace %ld", list(&asked, numbers, 100, 0));
	asked.space = 0;
	asked.number = 5;
	printf(" a small number %ld", list(&asked, numbers, 100, 0));
	asked.number = 1ul << 31;
	printf(" the least %ld", list(&asked, numbers, 100, 0));
	asked.number = 1ul << 40;
	printf(" none %ld\n", list(&asked, numbers, 100, 0));
	printf("statmount: flag %ld none %ld small %ld nowhere %ld\n",
	       look(&asked, &found, sizeof found, 1), look(&asked, &found, sizeof found, 0),
	       look((void *)8, &found, sizeof found, 0), look(&asked, (void *)8, 600, 0));
	asked.number = number_of(path);
	asked.param = 2;
	printf("nowhere %ld kernel %ld\n", look(&asked, (void *)8, 600, 0),
	       look(&asked, (void *)-4096ul, 600, 0));
	int fd = open("/proc/self/ns/mnt", O_RDONLY), other = open("/proc/self/ns/net", O_RDONLY);
	uint64_t space = 0;
	printf("its namespace %ld", result(ioctl(fd, 0x8008b705, &space)));
	printf(" of another kind %ld\n", result(ioctl(other, 0x8008b705, &space)));
	asked.space = space;
	asked.param = 0x40;
	printf("by it %ld %d\n", look(&asked, &found, sizeof found, 0), found.space == space);
	close(fd);
	close(other);
}

static void changed_trees(const char *path)
{
	uint64_t attr[5] = { 1, 0, 0, 0, 1 };
	struct asked asked = { 32, 0, 0, 2, 0 };
	long fd = result(syscall(467, AT_FDCWD, path, 1, attr, 32));
	char name[40];

	printf("a copy %d", fd > 2);
	snprintf(name, sizeof name, "/proc/self/fd/%ld", fd);
	printf(" read-only %ld", result(mkdirat((int)fd, "x", 0700)));
	close((int)fd);
	printf(" no attributes %d", syscall(467, AT_FDCWD, path, 1, NULL, 0) > 2);
	printf(" a size of none %ld", result(syscall(467, AT_FDCWD, path, 1, NULL, 32)));
	printf(" short %ld", result(syscall(467, AT_FDCWD, path, 1, attr, 31)));
	printf(" with more %ld", result(syscall(467, AT_FDCWD, path, 1, attr, 40)));
	printf(" long %ld", result(syscall(467, AT_FDCWD, path, 1, attr, 5000)));
	attr[0] = 1ul << 40;
	printf(" unknown %ld\n", result(syscall(467, AT_FDCWD, path, 1, attr, 32)));
	attr[0] = 0x100000;
	attr[3] = 99;
	printf("ids: closed %ld", result(syscall(442, AT_FDCWD, path, 0, attr, 32)));
	attr[3] = 0;
	printf(" no namespace %ld", result(syscall(442, AT_FDCWD, path, 0, attr, 32)));
	attr[3] = (uint64_t)open("/proc/self/ns/mnt", O_RDONLY);
	printf(" of mounts %ld", result(syscall(442, AT_FDCWD, path, 0, attr, 32)));
	attr[3] = (uint64_t)open("/proc/self/ns/user", O_RDONLY);
	printf(" the file system's %ld", result(syscall(442, AT_FDCWD, path, 0, attr, 32)));
	attr[3] = 1ul << 32;
	printf(" too high %ld", result(syscall(442, AT_FDCWD, path, 0, attr, 32)));
	attr[0] = 0;
	attr[1] = 0x100000;
	printf(" cleared %ld", result(syscall(442, AT_FDCWD, path, 0, attr, 32)));
	attr[1] = 0;
	printf(" nothing %ld\n", result(syscall(442, AT_FDCWD, path, 0, attr, 32)));
}

int main(int argc, char **argv)
{
	char path[100] = "/tmp", a[120], b[120], c[120];

	uid = getuid();
	gid = getgid();
	setvbuf(stdout, NULL, _IONBF, 0);
	printf("root %ld\n", be_root(CLONE_NEWNS));
	uint64_t before = number_of(path);
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	printf("mount %ld\n", result(mount("some where", path, "tmpfs", MS_NOSUID | MS_NODEV,
					   "size=1m,mode=700")));
	snprintf(a, sizeof a, "%s/a", path);
	snprintf(b, sizeof b, "%s/b b", path);
	snprintf(c, sizeof c, "%s/c", path);
	mkdir(a, 0700);
	mkdir(b, 0700);
	mkdir(c, 0700);
	mount(a, b, NULL, MS_BIND, NULL);
	mount("none", c, "tmpfs", MS_RDONLY | MS_NOATIME | MS_NOEXEC, NULL);
	mount(NULL, a, NULL, 0, NULL);
	mount(c, a, NULL, MS_BIND, NULL);
	mount(NULL, a, NULL, MS_SHARED, NULL);
	one(path, before);
	one(b, number_of(path));
	one(a, number_of(path));
	mount(NULL, a, NULL, MS_SLAVE, NULL);
	mount(NULL, c, NULL, MS_UNBINDABLE, NULL);
	one(c, number_of(path));
	bounds(b);
	lists(path);
	changed_trees(b);
	return 0;
}
