/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memslot generation and MMIO SPTEs, while slots come and go.
 *
 * Modelled: one gfn; an updater that creates and deletes its slot, and two
 * vCPUs that access it without end.  Other slots come and go, too.
 *   kvm_memslots_publish(), _finish(), _settle()	virt/kvm/memslot_set.c
 *   CREATE is one installation; DELETE is a mark, a flush, and one; or INVALID, a
 *   flush, and another one		virt/kvm/memslot.c
 *   the generation in MMIO SPTEs	arch/x86/kvm/mmu/mmio.h
 *   set_mmio()				arch/x86/kvm/mmu/shadow_map.c
 *   tdp_map_mmio(), tdp_map_leaf()	arch/x86/kvm/mmu/tdp_map.c
 *   mmio_fault()			arch/x86/kvm/mmu/page_fault.c
 *   kvm_mmu_invalidate_mmio_sptes()	arch/x86/kvm/mmu/zap.c
 *
 *   Config: GOING	the slot is marked, and who maps it looks (x86)
 *   Config: DIRECT	the same with direct paging: a MMIO SPTE is of no generation,
 *			and goes when its gfn gets a slot; in flux, it is not used,
 *			and none is made
 *   Config: PROTECTED	DIRECT for a guest that KVM cannot emulate (SEV-ES): the CPU
 *			sends it #VC by a MMIO SPTE, outside of any read section, and
 *			KVM is not asked; so one is made in flux, too
 *   Config: INVALID_COPY	others; and as one that moves
 *
 * Abstracted: one address space.  Two bits of the generation are stored instead
 * of 19, so it wraps after four installations; it wraps twice here.  A flush is
 * one step with the zap before it, under mmu_lock.  A grace period waits until it
 * has seen each vCPU outside of its read section.  Memory is sequentially
 * consistent: litmus/memslots-*.litmus have the barriers.
 *
 * Properties (assert): an access that starts after the publication of a set is
 * MMIO only if that set, or one that was published while it lasted, has no slot;
 * and reaches memory only if one of them has, or the slot is not flushed yet.
 * PROTECTED: a #VC that is no update's is MMIO only if the set has no slot.
 */
#ifdef PROTECTED
#define DIRECT
#endif
#ifdef DIRECT
#define GOING
#endif

#define INSTALLS	9
#define STORED(gen)	((gen) & 6)	/* bits 1 and 2 */

#define ABSENT	0
#define VALID	1
#define INVALID	2

#define SPTE_NONE	0
#define SPTE_MMIO	1
#define SPTE_LEAF	2

byte slot[2];		/* the gfn's, in each copy of the set */
bool going;		/* the mark of the one that is VALID, or was */
byte gen[2];		/* each copy's generation */
bit cur;		/* kvm->memslots[] */
bool flushed = true;	/* no SPTE of the last valid slot is left */

byte spte;		/* shared, as in direct paging */
byte spte_tag;		/* what a MMIO SPTE has of the generation */

bool reading[2];	/* kvm->srcu */
bool may_mmio[2], may_memory[2];	/* ghosts: what the access may find */

byte installs;

#ifdef BROKEN_LOW_BIT_KEPT
#define TAG(g)		((g) & 7)
#define MATCH(tag, g)	((tag) == ((g) & 7))
#else
#define TAG(g)		STORED(g)
#define MATCH(tag, g)	((tag) == ((g) & 7))	/* bit 0 of a tag is 0 */
#endif

#ifdef BROKEN_ZAP_ONCE_A_ROUND
#define WRAPPED(g)	(STORED(g) == 0)
#elif defined(BROKEN_NO_WRAP_ZAP)
#define WRAPPED(g)	(false)
#else
#define WRAPPED(g)	((STORED(g) & 2) == 0)
#endif

#ifndef DIRECT
#define ZAPS_MMIO	WRAPPED(next_gen)
#elif defined(BROKEN_GAIN_NOT_ZAPPED)
#define ZAPS_MMIO	(false)
#else	/* The other copy is still as it was. */
#define ZAPS_MMIO	(slot[cur] == VALID && slot[1 - cur] == ABSENT)
#endif

/* @was: the generation before the SPTE was read; @now: as it is. */
#ifndef DIRECT
#define HIT(was, now)	MATCH(tag, now)
#elif defined(PROTECTED)
#define HIT(was, now)	(false)
#elif defined(BROKEN_HIT_IN_FLUX)
#define HIT(was, now)	(true)
#elif defined(BROKEN_GENERATION_AFTER_SPTE)
#define HIT(was, now)	(((now) & 1) == 0)
#else
#define HIT(was, now)	(((was) & 1) == 0)
#endif

inline allow(v)
{
	may_mmio[v] = may_mmio[v] || slot[cur] == ABSENT;
	may_memory[v] = may_memory[v] || slot[cur] == VALID || !flushed
}

inline zap_mmio()
{
	if
	:: ZAPS_MMIO ->
		d_step {
			if
			:: spte == SPTE_MMIO -> spte = SPTE_NONE; spte_tag = 0
			:: else
			fi
		}
	:: else
	fi
}

/* With mmu_lock. */
inline flush()
{
	d_step {
		if
		:: spte == SPTE_LEAF -> spte = SPTE_NONE
		:: else
		fi;
		flushed = true
	}
}

/* With mmu_lock: maps the slot that was found. */
inline map_memory()
{
	d_step {
		if
#if defined(GOING) && !defined(BROKEN_NO_LOOK)
		:: going	/* the guest tries again */
#endif
		:: else -> spte = SPTE_LEAF; spte_tag = 0
		fi
	}
}

inline synchronize_srcu()
{
	!reading[0];
	!reading[1]
}

/* The inactive copy, with the gfn's slot as @state, becomes the active one. */
inline install(state)
{
	d_step {
		slot[1 - cur] = state;
#ifdef BROKEN_NO_FIRST_BUMP
		gen[1 - cur] = gen[cur];
#elif defined(BROKEN_NO_SECOND_BUMP)
		gen[1 - cur] = gen[cur] + 2;
#else
		gen[1 - cur] = gen[cur] | 1;
#endif
		next_gen = (gen[cur] & ~1) + 2
	}
	d_step {
		cur = 1 - cur;
		allow(0);
		allow(1)
	}
#ifdef BROKEN_BUMP_BEFORE_GRACE_PERIOD
	zap_mmio();
	gen[cur] = next_gen;
	synchronize_srcu();
#else
#ifndef BROKEN_NO_GRACE_PERIOD
	synchronize_srcu();
#endif
#if defined(BROKEN_GAIN_ZAPPED_LATE) || (defined(SAFE_ZAP_AFTER_STORE) && !defined(DIRECT))
	gen[cur] = next_gen;
	zap_mmio();
#else
	zap_mmio();
	gen[cur] = next_gen;
#endif
#endif
	d_step {
		slot[1 - cur] = state;
		installs++;
		next_gen = 0
	}
}

active proctype updater()
{
	byte next_gen;

	do
	:: installs < INSTALLS ->
		if
		:: install(slot[cur])	/* another slot comes or goes */
		:: slot[cur] == ABSENT ->
			flushed = false;
			install(VALID)
#ifdef GOING
		:: slot[cur] == VALID ->
#ifdef BROKEN_MARK_AFTER_FLUSH
			flush();
			going = true;
#else
			going = true;
			flush();
#endif
			install(ABSENT);
			going = false	/* It is freed; the next one is not marked. */
#else
		:: slot[cur] == VALID -> install(INVALID)
		:: slot[cur] == INVALID ->
			flush();
			install(ABSENT)
#endif
		fi
	:: else -> break
	od
}

active [2] proctype vcpu()
{
	byte v = _pid - 1;
	byte seen, tag, was;
	bit copy;

	do
	:: d_step {
		/* A new access, or one that the guest repeats. */
		may_mmio[v] = false;
		may_memory[v] = false;
		allow(v);
#ifdef PROTECTED
		assert(spte != SPTE_MMIO || may_mmio[v] || gen[cur] & 1);
#endif
		reading[v] = true
	   }
#ifdef DIRECT
	   copy = cur;
	   was = gen[copy];
#endif
	   d_step { seen = spte; tag = spte_tag }
	   copy = cur;
	   if
	   :: seen == SPTE_LEAF -> assert(may_memory[v])
	   :: seen == SPTE_MMIO && HIT(was, gen[copy]) -> assert(may_mmio[v])
	   :: else ->
		copy = cur;
		seen = slot[copy];
		if
		:: seen == ABSENT ->
			assert(may_mmio[v]);
			/* The pointer is read once more, and its generation. */
			copy = cur;
#ifdef DIRECT
			was = gen[copy];
			if
#ifndef PROTECTED
			:: was & 1
#endif
			:: else -> spte = SPTE_MMIO
			fi
#else
			tag = TAG(gen[copy]);
			d_step { spte = SPTE_MMIO; spte_tag = tag }
#endif
		:: seen == VALID -> map_memory()
		:: else		/* INVALID: the guest tries again */
		fi
	   fi;
	   d_step { reading[v] = false; seen = 0; tag = 0; was = 0; copy = 0 }
	od
}
