// Package heapwright is a best-fit memory manager for memory outside the Go
// heap that tells who holds its memory and who overwrote it: the bestfit heap
// of Huawei LiteOS with its memory leak check and its memory backup mechanism,
// for Go programs.
//
// # Before anything else
//
// Never store a pointer to Go memory in a pool: the garbage collector does not
// look there. Strings, slices, maps, channels, functions and interfaces are
// such pointers. AllocSlice refuses types that contain any.
//
// What a pool hands out is freed by Free and by nothing else. After Free, and
// after Close, touching it is a bug that no type system catches; this package
// exists because such bugs happen.
//
// # A pool
//
//	p, err := heapwright.New(heapwright.Config{LeakCheck: true, HeadBackup: true})
//	b, err := p.AllocBytes(1000)
//	err = p.FreeBytes(b)
//
// Memory comes from the operating system in one range of reserved addresses, of
// which ever more is committed and unused runs are given back; or it is the
// caller's (Config.Region); or it is a file mapped into memory (Config.File),
// which Open reads after a crash. Command heapwright reads such a file, and pools
// in cores and in dumps of all memory, too.
//
// Leaks: Snapshot lists the used nodes with the call stack of each allocation
// (Config.LeakCheck). What is in a later snapshot and not in an earlier one,
// grouped by stack, is the list of suspects. Package shell does that at a
// prompt, package leak in a program.
//
// Overwrites: with Config.HeadBackup each node's control header has a backup in
// the node before it. Alloc, Realloc and Free check both before they trust a
// header, restore the one that is damaged from the one that is not, and report
// a finding (package heap): the header and the backup field by field, the node
// in front of the damage, how far the damage reaches, and whose memory most
// likely overflowed. Wild pointers (nil, foreign, unaligned, inside a node,
// freed before) are reported with the stack of the free, and change nothing.
// Check examines everything at once.
//
// # How a pool lies in memory
//
//	pool     [head 256 B][front][node][node] ... [node][end]
//
//	node     +-----------------------------+  the address memused prints
//	         | backup of the NEXT node's   |  with HeadBackup
//	         | control header              |
//	         +-----------------------------+
//	         | own control header          |
//	         +-----------------------------+  the address Alloc returns, 16-aligned
//	         | payload                     |
//	         +-----------------------------+  the next node
//
//	control  | size | prev size |owner|st.| checksum | birth | LR[0] | LR[1] | LR[2] | ...
//	header   0      4           8     10  12         16      20      24      28      32
//	                                                 with LeakCheck: 4 bytes each
//
// Sizes count units of 16 bytes. The checksum covers the whole header, LRs
// included, and is bound to the node's place in the pool and to a secret of the
// pool, so a copy of a header elsewhere does not pass for one. A header written
// back to its old place is noticed with HeadBackup. An LR is
// the distance of a return address from a fixed function, in 32 bits. Package
// internal/node defines all this for the pool and for readers of its dumps.
//
// Free nodes are found through a structure that lies outside the pool, where a
// buggy program does not overwrite it: a list for each size up to 2 KiB under a
// bitmap, a bitwise trie for each power of two above. The best fit is found in
// at most 64 steps however many nodes there are. A freed node below 2 KiB is
// not coalesced at once: up to 15 of each size wait for the next allocation of
// their size, and count as free nodes of their own meanwhile. They are
// coalesced before the pool grows or gives up.
//
// # What it costs
//
// All debugging is off by default. It costs memory for every node and time for
// every operation; LiteOS advises to turn it on for locating problems only. In
// bytes a node, with the default of 3 LRs:
//
//	configuration   here   formula                        LiteOS 64-bit   32-bit
//	off              16    16                                       32       16
//	LeakCheck        32    16 + 4 + 4*LRs, rounded to 16            56       28
//	HeadBackup       32    2 * 16                                   96       48
//	both             64    2 * LeakCheck                           144       72
//
// LiteOS's documents give the extra cost as nodes * LR count * pointer size for
// the leak check, and nodes * control header size for the backup. Payloads are
// rounded up to 16 bytes. Besides, a pool has 256 bytes of head, two nodes
// without payload, 10 KB in the Go heap, and 36 bytes in the Go heap for each
// coalesced free node.
//
// Time: see the README, whose figures come from the module bench.
//
// # Concurrency
//
// A Pool may be used from any number of goroutines; one mutex guards it.
// Snapshot and Check hold it for as long as they walk the pool. Findings are
// delivered after it is released.
package heapwright
