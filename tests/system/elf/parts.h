/*
 * Programs in parts, each in a process of its own, so that none finds what another left behind.
 */
#pragma once
#include "results.h"
#include <fcntl.h>
#include <sys/wait.h>

/* Return how a child that does this ends. */
static int status_of_child(void (*run)(void))
{
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		run();
		fflush(stdout);
		_exit(0);
	}
	int status;
	waitpid(child, &status, 0);
	return status;
}

/* Say how a child that does this ends. */
static __attribute__((unused)) void show_end(const char *what, void (*run)(void))
{
	printf("%s: status %x\n", what, status_of_child(run));
}

static __attribute__((unused)) void part(const char *name, void (*run)(void))
{
	printf("== %s\n", name);
	int status = status_of_child(run);
	printf("-- %x\n", status);
	fflush(stdout);
}

/* Return what a file holds, up to 64 KiB less one; it stays until the next. */
static __attribute__((unused)) char *content(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY);
	long size = 0, count;
	while ((count = read(fd, text + size, sizeof text - 1 - size)) > 0)
		size += count;
	text[size] = 0;
	close(fd);
	return text;
}

static __attribute__((unused)) long put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	long done = result(write(fd, text, strlen(text)));
	close(fd);
	return done;
}
