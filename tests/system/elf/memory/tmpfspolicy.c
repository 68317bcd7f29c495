/*
 * mpol= of a tmpfs: which are refused, how mounts and numa_maps show them, what a remount changes.
 * Prints what Linux 6.18 with one node prints. In namespaces of its own.
 */
#define _GNU_SOURCE
#include "userns.h"
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define PLACE "/tmp"

/* The last mount there is the one that shows; its ids are the host's. */
static void options(void)
{
	char *line = strstr(content("/proc/self/mounts"), "policies " PLACE " ");
	char *end = line ? strchr(line, '\n') : NULL;
	char *shown = line ? strstr(line, ",mpol=") : NULL;
	if (shown && shown < end)
		printf("  %.*s\n", (int)(strcspn(shown + 1, ",\n ")), shown + 1);
	else
		printf("  no mpol\n");
}

static void of_a_file(void)
{
	int fd = open(PLACE "/file", O_RDWR | O_CREAT, 0600);
	ftruncate(fd, 8192);
	char *at = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	at[0] = 1;
	char *text = content("/proc/self/numa_maps"), *file = strstr(text, " file=" PLACE);
	char *policy = file;
	while (policy > text && policy[-1] != '\n')
		policy--;
	policy += strcspn(policy, " ");
	printf(" %.*s\n", (int)(file - policy), policy);
	munmap(at, 8192);
	close(fd);
}

static void of(const char *text)
{
	long done = result(mount("policies", PLACE, "tmpfs", 0, text));
	printf("%s: %ld\n", text, done);
	if (done)
		return;
	options();
	of_a_file();
	printf("  remount %ld", result(mount("policies", PLACE, "tmpfs", MS_REMOUNT, "size=1m")));
	options();
	printf("  remount %ld",
	       result(mount("policies", PLACE, "tmpfs", MS_REMOUNT, "mpol=bind:0")));
	options();
	umount(PLACE);
}

static void refused_or_shown(void)
{
	be_root(CLONE_NEWNS);
	of("mpol=default");
	of("mpol=default=anything");
	of("mpol=default:0");
	of("mpol=local");
	of("mpol=local:0");
	of("mpol=local=static");
	of("mpol=prefer");
	of("mpol=prefer:0");
	of("mpol=prefer:0-0");
	of("mpol=prefer=static");
	of("mpol=prefer=static:0");
	of("mpol=bind");
	of("mpol=bind:");
	of("mpol=bind:0");
	of("mpol=bind:0-0");
	of("mpol=bind:0,0,size=2m");
	of("mpol=bind:0,1");
	of("mpol=bind:1");
	of("mpol=bind:x");
	of("mpol=bind=relative:0");
	of("mpol=bind=other:0");
	of("mpol=interleave");
	of("mpol=interleave:0,size=2m");
	of("mpol=weighted interleave");
	of("mpol=prefer (many)");
	of("mpol=prefer (many):0");
	of("mpol=nothing");
	of("mpol=");
	of("mpol");
}

int main(void)
{
	uid = getuid(), gid = getgid();
	part("mpol", refused_or_shown);
	return 0;
}
