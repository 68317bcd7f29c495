#!/usr/bin/env bash
# qemu-x86_64-static 7.2 (Debian 12, qemu-user-static): /proc/self/maps is the program's, all else there is the
#   emulator's, other names of the same file too.
# Expected (proc(5): /proc/thread-self is the calling thread's, /proc/self/smaps shows maps' mappings, "Threads" and
#   VmExe in status, resident pages in statm, comm are the process's; mprotect(2)): what the program says on Linux.
# Seen: code that was made executable is "r-xp" in /proc/self/maps and "r--p" in smaps and /proc/thread-self/maps, which
#   have the emulator's mappings between; a program of one thread has two, comm is the emulator's name, and its own
#   memory is a fraction of statm. A program that adds up its smaps, or looks for its stack by name there, is wrong.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb qemu-user-static 1:7.2+dfsg-
cat >t.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char *const files[] = {"/proc/self/maps", "/proc/self/smaps", "/proc/thread-self/maps"};

/* The line of the mapping that has the address, from its rights on. */
static const char *mapping(const char *path, const void *address)
{
	static char line[512];
	unsigned long start, end;
	FILE *file = fopen(path, "r");
	const char *found = "none";

	while (strcmp(found, "none") == 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start <= (unsigned long)address &&
		    (unsigned long)address < end)
			found = strchr(line, ' ') + 1;
	fclose(file);
	return found;
}

static long number(const char *path, const char *format)
{
	char line[512];
	long value = -1;
	FILE *file = fopen(path, "r");

	while (value < 0 && fgets(line, sizeof(line), file))
		sscanf(line, format, &value);
	fclose(file);
	return value;
}

int main(void)
{
	char name[64] = "";
	void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FILE *comm = fopen("/proc/self/comm", "r");

	mprotect(code, 4096, PROT_READ | PROT_EXEC);
	for (int i = 0; i < 3; i++)
		printf("%s: code %.4s, the stack has %s name\n", files[i], mapping(files[i], code),
		       strstr(mapping(files[i], name), "[stack]") ? "its" : "no");
	fgets(name, sizeof(name), comm);
	printf("comm: %s", name);
	printf("threads: %ld\n", number("/proc/self/status", "Threads: %ld"));
	printf("code in status: %s\n", number("/proc/self/status", "VmExe: %ld") < 1000 ? "its own" : "more than 1 MB");
	printf("size in statm: %s\n", number("/proc/self/statm", "%ld") < 1000 ? "its own" : "more than 4 MB");
	return 0;
}
C
gcc -w -static -o program t.c
expect "on Linux" "$(./program)" \
"/proc/self/maps: code r-xp, the stack has its name
/proc/self/smaps: code r-xp, the stack has its name
/proc/thread-self/maps: code r-xp, the stack has its name
comm: program
threads: 1
code in status: its own
size in statm: its own"
expect "under qemu" "$("$W/root/usr/bin/qemu-x86_64-static" ./program)" \
"/proc/self/maps: code r-xp, the stack has its name
/proc/self/smaps: code r--p, the stack has no name
/proc/thread-self/maps: code r--p, the stack has no name
comm: qemu-x86_64-sta
threads: 2
code in status: more than 1 MB
size in statm: more than 4 MB"
