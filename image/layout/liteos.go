package layout

import (
	"errors"
	"fmt"
	"strings"
)

// LiteOS is a configuration of LiteOS 5.0's bestfit allocator, as far as it
// changes how a heap lies in memory. The names in the comments are those of
// the device's configuration.
type LiteOS struct {
	Bits64     bool // LOSCFG_AARCH64: words of 8 bytes
	LeakCheck  bool // LOSCFG_MEM_LEAKCHECK: headers hold call stacks
	LRs        int  // LOS_RECORD_LR_CNT, 1 to 8; only with LeakCheck
	HeadBackup bool // LOSCFG_MEM_HEAD_BACKUP: gap size, checksum, and a copy of each header in the node in front
	RecordInfo bool // LOSCFG_MEM_RECORDINFO: headers hold the size asked for
	MulModule  bool // LOSCFG_MEM_MUL_MODULE: a module ID beside the task ID; changes no offset
	TaskStat   bool // LOSCFG_MEM_TASK_STAT: the pool head counts the bytes in use, in all and for each task
	Tasks      int  // LOSCFG_BASE_CORE_TSK_LIMIT; only with TaskStat
	MulPool    bool // LOSCFG_MEM_MUL_POOL: pools are chained
}

// Limits of a configuration.
const (
	// MaxLRs is the largest LOS_RECORD_LR_CNT.
	MaxLRs = 8
	// MaxTasks bounds LOSCFG_BASE_CORE_TSK_LIMIT.
	MaxTasks = 1 << 12

	freeLists = 26 // by power of two, from 2^4
	sumKey    = 0xDEADBEEF
	usedBit   = 1 << 31 // in the size word
	alignBit  = 1 << 30
	sizeMask  = alignBit - 1
	gapMark   = alignBit // in the word in front of an aligned payload
)

// Validate says what is wrong with a configuration.
func (l LiteOS) Validate() error {
	switch {
	case l.LeakCheck && (l.LRs < 1 || l.LRs > MaxLRs):
		return fmt.Errorf("layout: LOS_RECORD_LR_CNT=%d: must be 1 to %d", l.LRs, MaxLRs)
	case !l.LeakCheck && l.LRs != 0:
		return errors.New("layout: LOS_RECORD_LR_CNT without LOSCFG_MEM_LEAKCHECK")
	case l.TaskStat && (l.Tasks < 1 || l.Tasks > MaxTasks):
		return fmt.Errorf("layout: LOSCFG_BASE_CORE_TSK_LIMIT=%d: must be 1 to %d", l.Tasks, MaxTasks)
	case !l.TaskStat && l.Tasks != 0:
		return errors.New("layout: tasks are counted only with LOSCFG_MEM_TASK_STAT")
	}
	return nil
}

// String names the configuration: "LiteOS 5.0 bestfit, 32-bit,
// LOSCFG_MEM_LEAKCHECK (LOS_RECORD_LR_CNT=3), LOSCFG_MEM_HEAD_BACKUP".
func (l LiteOS) String() string {
	parts := []string{"LiteOS 5.0 bestfit", "32-bit"}
	if l.Bits64 {
		parts[1] = "64-bit"
	}
	add := func(on bool, name string) {
		if on {
			parts = append(parts, name)
		}
	}
	add(l.LeakCheck, fmt.Sprintf("LOSCFG_MEM_LEAKCHECK (LOS_RECORD_LR_CNT=%d)", l.LRs))
	add(l.HeadBackup, "LOSCFG_MEM_HEAD_BACKUP")
	add(l.RecordInfo, "LOSCFG_MEM_RECORDINFO")
	add(l.MulModule, "LOSCFG_MEM_MUL_MODULE")
	add(l.TaskStat, fmt.Sprintf("LOSCFG_MEM_TASK_STAT (LOSCFG_BASE_CORE_TSK_LIMIT=%d)", l.Tasks))
	add(l.MulPool, "LOSCFG_MEM_MUL_POOL")
	return strings.Join(parts, ", ")
}

// Offsets are where everything lies, in bytes; -1: not there.
type Offsets struct {
	Word int // size of an address

	// In a control header. First and Second are the links of a free node; in
	// a used node, First begins with the magic and Task lies behind that.
	First, Second, Task, Prev, Gap, Sum, Orig, LR, Size int

	LRs  int // number of LRs
	Ctl  int // length of a control header
	Own  int // of a node's own control header in the node
	Head int // length of a node's head: its payload's offset

	// In the pool.
	PoolSize, Used, Peak, TaskUsed, NextPool, Lists, FirstNode int
}

// Offsets computes the offsets as a C compiler does: every field at the next
// multiple of its own size, and the whole a multiple of the largest.
func (l LiteOS) Offsets() Offsets {
	w := 4
	if l.Bits64 {
		w = 8
	}
	end := 0
	field := func(there bool, size, n int) int {
		if !there {
			return -1
		}
		at := (end + size - 1) / size * size
		end = at + size*n
		return at
	}
	o := Offsets{Word: w, Task: 4}

	o.First = field(true, w, 1)
	o.Second = field(true, w, 1)
	o.Prev = field(true, w, 1)
	o.Gap = field(l.HeadBackup, 4, 1)
	o.Sum = field(l.HeadBackup, w, 1)
	o.Orig = field(l.RecordInfo, 4, 1)
	field(l.RecordInfo && l.Bits64, 4, 1) // reserved
	if l.LeakCheck {
		o.LRs = l.LRs
	}
	o.LR = field(o.LRs > 0, w, o.LRs)
	field(l.Bits64, 4, 1) // reserved
	o.Size = field(true, 4, 1)
	o.Ctl = (end + w - 1) / w * w
	if l.HeadBackup {
		o.Own = o.Ctl
	}
	o.Head = o.Own + o.Ctl

	end = 0
	field(true, w, 1) // the pool itself
	o.PoolSize = field(true, 4, 1)
	o.Used = field(l.TaskStat, 4, 1)
	o.Peak = field(l.TaskStat, 4, 1)
	o.TaskUsed = field(l.TaskStat, 4, 2*(l.Tasks+1))
	o.NextPool = field(l.MulPool, w, 1)
	o.Lists = (end + w - 1) / w * w
	o.FirstNode = o.Lists + 2*w*freeLists
	return o
}
