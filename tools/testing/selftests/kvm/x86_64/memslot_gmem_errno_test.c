// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad guest_memfd slots: the errno of each way to get one wrong, and that a
 * refused slot leaves neither a slot nor a binding behind.
 *
 * The VM has one good guest_memfd slot over the first half of a file.  After
 * each refusal the slot must still be there and immutable, its gpa and its
 * part of the file still taken, and the second half of the file still free.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "test_util.h"

#define PAGES(n)	((n) * 4096ull)
#define GPA		0x10000000ull
#define FREE_GPA	(GPA + PAGES(64))
#define FILE_SIZE	PAGES(16)
#define HALF		PAGES(8)

enum { BOUND = 1, SHARED, FREE };

enum fd_kind { FD_GMEM, FD_NONE, FD_MEMFD, FD_KVM, FD_VM, FD_OTHER_VM, NR_FDS };

struct row {
	const char *name;
	int error;
	uint32_t slot, flags;
	uint64_t gpa, size;
	enum fd_kind fd;
	uint64_t offset;
};

#define GMEM	KVM_MEM_GUEST_MEMFD

static const struct row rows[] = {
	{ "no fd", EBADF, FREE, GMEM, FREE_GPA, HALF, FD_NONE, HALF },
	{ "a memfd", EINVAL, FREE, GMEM, FREE_GPA, HALF, FD_MEMFD, HALF },
	{ "/dev/kvm", EINVAL, FREE, GMEM, FREE_GPA, HALF, FD_KVM, HALF },
	{ "the VM", EINVAL, FREE, GMEM, FREE_GPA, HALF, FD_VM, HALF },
	{ "guest_memfd of another VM", EINVAL, FREE, GMEM, FREE_GPA, HALF,
	  FD_OTHER_VM, HALF },
	{ "offset not aligned", EINVAL, FREE, GMEM, FREE_GPA, HALF, FD_GMEM,
	  HALF + 1 },
	{ "offset and size wrap", EINVAL, FREE, GMEM, FREE_GPA, HALF, FD_GMEM,
	  -PAGES(1) },
	{ "beyond the end of the file", EINVAL, FREE, GMEM, FREE_GPA, HALF,
	  FD_GMEM, HALF + PAGES(1) },
	{ "offset at the end of the file", EINVAL, FREE, GMEM, FREE_GPA, HALF,
	  FD_GMEM, FILE_SIZE },
	{ "part of the file is bound", EEXIST, FREE, GMEM, FREE_GPA, HALF,
	  FD_GMEM, HALF - PAGES(1) },
	{ "all of it is bound", EEXIST, FREE, GMEM, FREE_GPA, HALF, FD_GMEM,
	  0 },
	{ "logged", EINVAL, FREE, GMEM | KVM_MEM_LOG_DIRTY_PAGES, FREE_GPA,
	  HALF, FD_GMEM, HALF },
	{ "read-only", EINVAL, FREE, GMEM | KVM_MEM_READONLY, FREE_GPA, HALF,
	  FD_GMEM, HALF },
	{ "bad flag", EINVAL, FREE, GMEM | BIT(3), FREE_GPA, HALF, FD_GMEM,
	  HALF },
	{ "gpa taken", EEXIST, FREE, GMEM, GPA + PAGES(1), HALF, FD_GMEM,
	  HALF },
	{ "gpa taken, no fd", EEXIST, FREE, GMEM, GPA, HALF, FD_NONE, 0 },
	{ "beyond the physical addresses", EINVAL, FREE, GMEM, BIT_ULL(52),
	  HALF, FD_GMEM, HALF },
	{ "address space 1", EINVAL, 1 << 16 | FREE, GMEM, FREE_GPA, HALF,
	  FD_GMEM, HALF },

	{ "set again", EINVAL, BOUND, GMEM, GPA, HALF, FD_GMEM, 0 },
	{ "other offset", EINVAL, BOUND, GMEM, GPA, HALF, FD_GMEM, HALF },
	{ "move", EINVAL, BOUND, GMEM, FREE_GPA, HALF, FD_GMEM, 0 },
	{ "to shared", EINVAL, BOUND, 0, GPA, HALF, FD_GMEM, 0 },
	{ "to shared, moved", EINVAL, BOUND, 0, FREE_GPA, HALF, FD_GMEM, 0 },
	{ "to logged", EINVAL, BOUND, KVM_MEM_LOG_DIRTY_PAGES, GPA, HALF,
	  FD_GMEM, 0 },
	{ "to private", EINVAL, SHARED, GMEM, GPA + PAGES(32), HALF, FD_GMEM,
	  HALF },
	{ "delete, offset not aligned", EINVAL, BOUND, GMEM, GPA, 0, FD_GMEM,
	  8 },
	{ "delete, logged", EINVAL, BOUND, GMEM | KVM_MEM_LOG_DIRTY_PAGES, GPA,
	  0, FD_GMEM, 0 },
	{ "delete what is not there", EINVAL, FREE, GMEM, GPA, 0, FD_GMEM, 0 },
};

FIXTURE(memslot_gmem_errno) {
	struct kvm_vm *vm, *other_vm;
	uint8_t *mem;
	int fds[NR_FDS];
};

#define TEST_DATA FIXTURE_DATA(memslot_gmem_errno)

/* Returns 0 or the errno. */
static int set_row(const TEST_DATA *t, const struct row *r)
{
	return __vm_set_user_memory_region2(t->vm, r->slot, r->flags, r->gpa,
					    r->size, t->mem, t->fds[r->fd],
					    r->offset) ? errno : 0;
}

static void check_unchanged(const TEST_DATA *t)
{
	struct row again = { "", 0, BOUND, GMEM, GPA, HALF, FD_GMEM, 0 };
	struct row same_gpa = { "", 0, FREE, 0, GPA + PAGES(7), PAGES(1) };
	struct row same_part = { "", 0, FREE, GMEM, FREE_GPA, PAGES(1),
				 FD_GMEM, PAGES(7) };
	struct row free_part = { "", 0, FREE, GMEM, FREE_GPA, HALF, FD_GMEM,
				 HALF };
	struct row shared = { "", 0, SHARED, 0, GPA + PAGES(32), HALF };

	TEST_ASSERT_EQ(set_row(t, &again), EINVAL);
	TEST_ASSERT_EQ(set_row(t, &same_gpa), EEXIST);
	TEST_ASSERT_EQ(set_row(t, &same_part), EEXIST);
	TEST_ASSERT_EQ(set_row(t, &shared), 0);
	TEST_ASSERT_EQ(set_row(t, &free_part), 0);
	free_part.size = 0;
	TEST_ASSERT_EQ(set_row(t, &free_part), 0);
}

FIXTURE_SETUP(memslot_gmem_errno)
{
	struct row bound = { "", 0, BOUND, GMEM, GPA, HALF, FD_GMEM, 0 };
	struct row shared = { "", 0, SHARED, 0, GPA + PAGES(32), HALF };

	if (!kvm_has_cap(KVM_CAP_GUEST_MEMFD) ||
	    !(kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(KVM_X86_SW_PROTECTED_VM)))
		SKIP(return, "no guest_memfd for software-protected VMs");

	self->vm = vm_create_barebones_type(KVM_X86_SW_PROTECTED_VM);
	self->other_vm = vm_create_barebones_type(KVM_X86_SW_PROTECTED_VM);
	self->mem = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->fds[FD_GMEM] = vm_create_guest_memfd(self->vm, FILE_SIZE, 0);
	self->fds[FD_NONE] = -1;
	self->fds[FD_MEMFD] = kvm_memfd_alloc(FILE_SIZE, false);
	self->fds[FD_KVM] = self->vm->kvm_fd;
	self->fds[FD_VM] = self->vm->fd;
	self->fds[FD_OTHER_VM] = vm_create_guest_memfd(self->other_vm,
						       FILE_SIZE, 0);
	ASSERT_EQ(0, set_row(self, &bound));
	ASSERT_EQ(0, set_row(self, &shared));
}

FIXTURE_TEARDOWN(memslot_gmem_errno)
{
	if (!self->vm)
		return;
	close(self->fds[FD_GMEM]);
	close(self->fds[FD_MEMFD]);
	close(self->fds[FD_OTHER_VM]);
	kvm_vm_free(self->other_vm);
	kvm_vm_free(self->vm);
}

TEST_F(memslot_gmem_errno, bad_slots)
{
	int i, error;

	check_unchanged(self);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		error = set_row(self, &rows[i]);
		EXPECT_EQ(rows[i].error, error) {
			TH_LOG("case '%s'", rows[i].name);
		}
		check_unchanged(self);
	}
}

/* A deleted slot gives its part of the file back. */
TEST_F(memslot_gmem_errno, delete_unbinds)
{
	struct row delete = { "", 0, BOUND, 0, GPA, 0 };
	struct row reuse = { "", 0, FREE, GMEM, FREE_GPA, FILE_SIZE, FD_GMEM,
			     0 };

	EXPECT_EQ(EEXIST, set_row(self, &reuse));
	EXPECT_EQ(0, set_row(self, &delete));
	EXPECT_EQ(0, set_row(self, &reuse));
	EXPECT_EQ(EINVAL, set_row(self, &delete));
}

TEST_HARNESS_MAIN
