/* SPDX-License-Identifier: GPL-2.0-only */
/* Settings of the kernel that are files: of tracefs, debugfs and the like. */
#ifndef SELFTEST_KVM_TEXT_FILE_H
#define SELFTEST_KVM_TEXT_FILE_H

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Return: whether there is such a file that takes @text; else see errno. */
static inline bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

#endif /* SELFTEST_KVM_TEXT_FILE_H */
