// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics: debugfs and the binary files (api.rst 4.133).
 *
 * A statistic is one u64, or an array of them, at a fixed offset in the
 * statistics of a VM or of a vCPU; its descriptor says where and of what kind.
 * Counting takes no lock: whoever owns a statistic adds to it, and a reader may
 * see a slightly old value or, on a 32-bit host, half of an update.
 *
 * debugfs has "kvm/NAME", the sum over all VMs, and "kvm/PID-FD/NAME" for one
 * VM; a statistic of vCPUs is the sum over the vCPUs.  Writing 0 clears.  A
 * statistic of the present, such as a number of pages mapped now, is read-only.
 *
 * kvm_lock protects the walk over all VMs.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/anon_inodes.h>
#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/slab.h>

#include "kvm_core.h"

static struct dentry *kvm_debugfs_dir;

/* Looking for a VM's directory and making it are one step under this lock. */
static DEFINE_MUTEX(kvm_debugfs_lock);

/* The statistics of a VM come first, then those of a vCPU. */
static unsigned int kvm_nr_stats(void)
{
	return kvm_vm_stats_header.num_desc + kvm_vcpu_stats_header.num_desc;
}

static enum kvm_stat_kind kvm_stat_kind(unsigned int nr)
{
	return nr < kvm_vm_stats_header.num_desc ? KVM_STAT_VM : KVM_STAT_VCPU;
}

static const struct kvm_stats_desc *kvm_stat_desc(unsigned int nr)
{
	if (kvm_stat_kind(nr) == KVM_STAT_VM)
		return &kvm_vm_stats_desc[nr];

	return &kvm_vcpu_stats_desc[nr - kvm_vm_stats_header.num_desc];
}

/* Only a statistic that counts up, or keeps a maximum, can be cleared. */
static bool kvm_stat_is_clearable(const struct kvm_stats_desc *desc)
{
	return (desc->flags & KVM_STATS_TYPE_MASK) != KVM_STATS_TYPE_INSTANT;
}

static umode_t kvm_stat_file_mode(const struct kvm_stats_desc *desc)
{
	return kvm_stat_is_clearable(desc) ? 0644 : 0444;
}

/*
 * The accessors: where a statistic's value is, its sum in a VM, and clearing
 * it there.
 */
static u64 *kvm_stat_value(void *stats, const struct kvm_stats_desc *desc)
{
	return stats + desc->offset;
}

static u64 kvm_stat_sum(struct kvm *kvm, enum kvm_stat_kind kind,
			const struct kvm_stats_desc *desc)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;
	u64 sum = 0;

	if (kind == KVM_STAT_VM)
		return READ_ONCE(*kvm_stat_value(&kvm->stat, desc));

	kvm_for_each_vcpu(i, vcpu, kvm)
		sum += READ_ONCE(*kvm_stat_value(&vcpu->stat, desc));

	return sum;
}

static void kvm_stat_clear(struct kvm *kvm, enum kvm_stat_kind kind,
			   const struct kvm_stats_desc *desc)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	if (kind == KVM_STAT_VM) {
		WRITE_ONCE(*kvm_stat_value(&kvm->stat, desc), 0);
		return;
	}

	kvm_for_each_vcpu(i, vcpu, kvm)
		WRITE_ONCE(*kvm_stat_value(&vcpu->stat, desc), 0);
}

/* The file of one VM. */
static int kvm_vm_stat_get(void *data, u64 *val)
{
	struct kvm_stat_data *stat = data;

	*val = kvm_stat_sum(stat->kvm, stat->kind, stat->desc);
	return 0;
}

static int kvm_vm_stat_set(void *data, u64 val)
{
	struct kvm_stat_data *stat = data;

	if (val)
		return -EINVAL;

	kvm_stat_clear(stat->kvm, stat->kind, stat->desc);
	return 0;
}

/*
 * Destroying the VM removes the file, which waits until this function has returned.
 * If there is no reference to take, the destruction has begun.  Once a reference was
 * taken it must not be put here: it may have become the last one, and the destruction
 * would wait for the function that it runs in.  So the reference comes last.
 */
static int kvm_vm_stat_open(struct inode *inode, struct file *file)
{
	struct kvm_stat_data *stat = inode->i_private;
	int r;

	r = simple_attr_open(inode, file, kvm_vm_stat_get,
			     kvm_stat_is_clearable(stat->desc) ?
				kvm_vm_stat_set : NULL,
			     "%llu\n");
	if (r)
		return r;
	if (kvm_get_kvm_safe(stat->kvm))
		return 0;

	simple_attr_release(inode, file);
	return -ENOENT;
}

static int kvm_vm_stat_release(struct inode *inode, struct file *file)
{
	struct kvm_stat_data *stat = inode->i_private;

	simple_attr_release(inode, file);
	kvm_put_kvm(stat->kvm);
	return 0;
}

static const struct file_operations kvm_vm_stat_fops = {
	.owner = THIS_MODULE,
	.open = kvm_vm_stat_open,
	.release = kvm_vm_stat_release,
	.read = simple_attr_read,
	.write = simple_attr_write,
};

/* The file of all VMs: its data is the number of the statistic. */
static int kvm_all_stat_get(void *data, u64 *val)
{
	unsigned int nr = (unsigned long)data;
	struct kvm *kvm;
	u64 sum = 0;

	mutex_lock(&kvm_lock);
	list_for_each_entry(kvm, &vm_list, vm_list)
		sum += kvm_stat_sum(kvm, kvm_stat_kind(nr), kvm_stat_desc(nr));
	mutex_unlock(&kvm_lock);

	*val = sum;
	return 0;
}

static int kvm_all_stat_set(void *data, u64 val)
{
	unsigned int nr = (unsigned long)data;
	struct kvm *kvm;

	if (val)
		return -EINVAL;

	mutex_lock(&kvm_lock);
	list_for_each_entry(kvm, &vm_list, vm_list)
		kvm_stat_clear(kvm, kvm_stat_kind(nr), kvm_stat_desc(nr));
	mutex_unlock(&kvm_lock);
	return 0;
}

DEFINE_SIMPLE_ATTRIBUTE(kvm_all_stat_fops, kvm_all_stat_get, kvm_all_stat_set,
			"%llu\n");
DEFINE_SIMPLE_ATTRIBUTE(kvm_all_stat_ro_fops, kvm_all_stat_get, NULL, "%llu\n");

/**
 * kvm_stats_module_init() - make the debugfs directory of KVM
 *
 * debugfs may be absent: nothing here fails.
 *
 * Context: kvm_init().
 */
void kvm_stats_module_init(void)
{
	unsigned int nr;

	kvm_debugfs_dir = debugfs_create_dir("kvm", NULL);

	for (nr = 0; nr < kvm_nr_stats(); nr++) {
		const struct kvm_stats_desc *desc = kvm_stat_desc(nr);

		debugfs_create_file(desc->name, kvm_stat_file_mode(desc),
				    kvm_debugfs_dir, (void *)(unsigned long)nr,
				    kvm_stat_is_clearable(desc) ?
					&kvm_all_stat_fops :
					&kvm_all_stat_ro_fops);
	}
}

/**
 * kvm_stats_module_exit() - undo kvm_stats_module_init()
 *
 * Context: kvm_exit() or a failed kvm_init(); no VM exists.  May sleep until nobody
 * uses a file of the directory.
 */
void kvm_stats_module_exit(void)
{
	debugfs_remove_recursive(kvm_debugfs_dir);
}

/**
 * kvm_arch_create_vm_debugfs() - arch hook, to add files to a VM's directory
 * @kvm: the VM, not yet published; kvm->debugfs_dentry is the directory, which is
 *	removed with all files in it
 *
 * Context: process context; may sleep.
 */
void __weak kvm_arch_create_vm_debugfs(struct kvm *kvm)
{
}

/*
 * A file descriptor can have been closed and its number used again before the
 * old VM is gone: the new VM then has no directory.
 */
static struct dentry *kvm_create_vm_dir(const char *fdname)
{
	char name[2 * KVM_INT_STR_LEN];
	struct dentry *dir;

	snprintf(name, sizeof(name), "%d-%s", task_pid_nr(current), fdname);

	guard(mutex)(&kvm_debugfs_lock);

	dir = debugfs_lookup(name, kvm_debugfs_dir);
	if (!dir)
		return debugfs_create_dir(name, kvm_debugfs_dir);

	dput(dir);
	pr_warn_ratelimited("KVM: debugfs: duplicate directory %s\n", name);
	return ERR_PTR(-EEXIST);
}

static struct kvm_stat_data *kvm_alloc_vm_stat(struct kvm *kvm, unsigned int nr)
{
	struct kvm_stat_data *stat = kzalloc(sizeof(*stat), GFP_KERNEL_ACCOUNT);

	if (!stat)
		return NULL;

	stat->kind = kvm_stat_kind(nr);
	stat->desc = kvm_stat_desc(nr);
	stat->kvm = kvm;
	return stat;
}

/*
 * All that can fail comes before the first file: who has a file open uses its data and
 * the VM until he closes it.
 */
static int kvm_create_vm_stat_files(struct kvm *kvm)
{
	struct kvm_stat_data **stats;
	unsigned int nr;

	stats = kcalloc(kvm_nr_stats(), sizeof(*stats), GFP_KERNEL_ACCOUNT);
	kvm->debugfs_stat_data = stats;
	if (!stats)
		return -ENOMEM;

	for (nr = 0; nr < kvm_nr_stats(); nr++) {
		stats[nr] = kvm_alloc_vm_stat(kvm, nr);
		if (!stats[nr])
			return -ENOMEM;
	}

	for (nr = 0; nr < kvm_nr_stats(); nr++)
		debugfs_create_file(stats[nr]->desc->name,
				    kvm_stat_file_mode(stats[nr]->desc),
				    kvm->debugfs_dentry, stats[nr], &kvm_vm_stat_fops);
	return 0;
}

/**
 * kvm_destroy_vm_debugfs() - remove a VM's debugfs directory
 * @kvm: the VM; it may have no directory, or half of one
 *
 * Context: may sleep until nobody uses a file of the directory.
 */
void kvm_destroy_vm_debugfs(struct kvm *kvm)
{
	unsigned int nr;

	if (IS_ERR(kvm->debugfs_dentry))
		return;

	debugfs_remove_recursive(kvm->debugfs_dentry);

	if (!kvm->debugfs_stat_data)
		return;

	for (nr = 0; nr < kvm_nr_stats(); nr++)
		kfree(kvm->debugfs_stat_data[nr]);
	kfree(kvm->debugfs_stat_data);
}

/**
 * kvm_create_vm_debugfs() - make a VM's debugfs directory and its files
 * @kvm: the VM, not yet published
 * @fdname: the VM's file descriptor in decimal
 *
 * A VM works without a directory, too: kvm->debugfs_dentry stays an error pointer,
 * under which debugfs makes no files.
 *
 * Context: may sleep; takes kvm_debugfs_lock.
 *
 * Return: 0, or -ENOMEM with everything undone.
 */
int kvm_create_vm_debugfs(struct kvm *kvm, const char *fdname)
{
	struct dentry *dir;
	int r;

	if (!debugfs_initialized())
		return 0;

	dir = kvm_create_vm_dir(fdname);
	if (IS_ERR(dir))
		return 0;

	kvm->debugfs_dentry = dir;
	r = kvm_create_vm_stat_files(kvm);
	if (r)
		kvm_destroy_vm_debugfs(kvm);
	else
		kvm_arch_create_vm_debugfs(kvm);
	return r;
}

#ifdef __KVM_HAVE_ARCH_VCPU_DEBUGFS
static int kvm_vcpu_pid_get(void *data, u64 *val)
{
	struct kvm_vcpu *vcpu = data;

	read_lock(&vcpu->pid_lock);
	*val = pid_nr(vcpu->pid);
	read_unlock(&vcpu->pid_lock);
	return 0;
}

DEFINE_SIMPLE_ATTRIBUTE(kvm_vcpu_pid_fops, kvm_vcpu_pid_get, NULL, "%llu\n");

/**
 * kvm_create_vcpu_debugfs() - make a vCPU's directory in that of its VM
 * @vcpu: the vCPU; the directory goes with that of the VM
 *
 * The file "pid" is the task that ran the vCPU last, 0 if none did.
 *
 * Context: process context; holds a reference to the VM.
 */
void kvm_create_vcpu_debugfs(struct kvm_vcpu *vcpu)
{
	char name[sizeof("vcpu") + KVM_INT_STR_LEN];
	struct dentry *dir;

	if (!debugfs_initialized())
		return;

	snprintf(name, sizeof(name), "vcpu%d", vcpu->vcpu_id);
	dir = debugfs_create_dir(name, vcpu->kvm->debugfs_dentry);
	debugfs_create_file("pid", 0444, dir, vcpu, &kvm_vcpu_pid_fops);

	kvm_arch_create_vcpu_debugfs(vcpu, dir);
}
#endif

static ssize_t kvm_vm_stats_read(struct file *file, char __user *ubuf,
				 size_t size, loff_t *pos)
{
	struct kvm *kvm = file->private_data;

	return kvm_stats_read(kvm->stats_id, &kvm_vm_stats_header,
			      kvm_vm_stats_desc, &kvm->stat, sizeof(kvm->stat),
			      ubuf, size, pos);
}

static int kvm_vm_stats_release(struct inode *inode, struct file *file)
{
	kvm_put_kvm(file->private_data);
	return 0;
}

static const struct file_operations kvm_vm_stats_fops = {
	.owner = THIS_MODULE,
	.llseek = noop_llseek,
	.read = kvm_vm_stats_read,
	.release = kvm_vm_stats_release,
};

static ssize_t kvm_vcpu_stats_read(struct file *file, char __user *ubuf,
				   size_t size, loff_t *pos)
{
	struct kvm_vcpu *vcpu = file->private_data;

	return kvm_stats_read(vcpu->stats_id, &kvm_vcpu_stats_header,
			      kvm_vcpu_stats_desc, &vcpu->stat,
			      sizeof(vcpu->stat), ubuf, size, pos);
}

static int kvm_vcpu_stats_release(struct inode *inode, struct file *file)
{
	struct kvm_vcpu *vcpu = file->private_data;

	kvm_put_kvm(vcpu->kvm);
	return 0;
}

static const struct file_operations kvm_vcpu_stats_fops = {
	.owner = THIS_MODULE,
	.llseek = noop_llseek,
	.read = kvm_vcpu_stats_read,
	.release = kvm_vcpu_stats_release,
};

/* A file that reads @owner, a part of @kvm, and holds a reference to @kvm. */
static int kvm_create_stats_fd(const char *name, struct kvm *kvm, void *owner,
			       const struct file_operations *fops)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;

	file = anon_inode_getfile_fmode(name, fops, owner, O_RDONLY,
					FMODE_PREAD);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}

	kvm_get_kvm(kvm);
	fd_install(fd, file);
	return fd;
}

/**
 * kvm_vm_get_stats_fd() - KVM_GET_STATS_FD of a VM
 * @kvm: the VM
 *
 * Context: process context; the file takes a reference to the VM.
 *
 * Return: a file descriptor, to read and pread, or a negative errno.
 */
int kvm_vm_get_stats_fd(struct kvm *kvm)
{
	return kvm_create_stats_fd("kvm-vm-stats", kvm, kvm,
				   &kvm_vm_stats_fops);
}

/**
 * kvm_vcpu_get_stats_fd() - KVM_GET_STATS_FD of a vCPU
 * @vcpu: the vCPU
 *
 * Context: as kvm_vm_get_stats_fd().
 *
 * Return: a file descriptor, to read and pread, or a negative errno.
 */
int kvm_vcpu_get_stats_fd(struct kvm_vcpu *vcpu)
{
	char name[sizeof("kvm-vcpu-stats:") + KVM_INT_STR_LEN];

	snprintf(name, sizeof(name), "kvm-vcpu-stats:%d", vcpu->vcpu_id);

	return kvm_create_stats_fd(name, vcpu->kvm, vcpu,
				   &kvm_vcpu_stats_fops);
}
