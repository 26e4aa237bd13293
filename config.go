package heapwright

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// None asks for no levels where 0 means the default: Config.OmitLR and
// Config.RecordLR.
const None = -1

// Defaults of a Config. DefaultOmitLR and DefaultRecordLR are LOS_OMIT_LR_CNT
// and LOS_RECORD_LR_CNT of LiteOS.
const (
	DefaultOmitLR   = 2
	DefaultRecordLR = 3
)

const (
	is64 = int64(^uint(0) >> 63) // 1 on 64-bit systems, else 0

	// maxPool is half of what 32-bit positions in units of 16 bytes can
	// express, so that the sum of a position and a size never wraps; on 32-bit
	// systems it is what their address space may have room for.
	maxPool = 1<<30 + is64*(32<<30-1<<30)
)

// DefaultMaxSize is the address space that a pool reserves if Config.MaxSize
// is 0: 4 GiB on 64-bit systems, 256 MiB on 32-bit systems. Reserving costs no
// memory.
const DefaultMaxSize = 256<<20 + is64*(4<<30-256<<20)

// A Policy says what happens with a finding besides its report.
type Policy uint8

const (
	// Report delivers findings to Config.OnFinding and goes on.
	Report Policy = iota
	// Panic delivers the findings and then panics with the first (a
	// heap.Finding). The operation that noticed is not carried out; the pool
	// has been repaired by then and can still be used by whoever recovers.
	Panic
)

// Config says where a pool's memory comes from and which debugging features it
// has. The zero Config is a pool over memory of the operating system with all
// debugging off.
type Config struct {
	// Name is what listings and findings call the pool; "pool-N" if empty. It
	// need not be unique.
	Name string

	// MaxSize is the most memory the pool will ever manage, in bytes, its own
	// headers included: up to 32 GiB on 64-bit systems and 1 GiB on 32-bit
	// systems, rounded up to whole pages; 0 is DefaultMaxSize. The address space is reserved at once, the
	// memory committed as it is needed. With File it is the size of the file.
	// Must be 0 with Region.
	MaxSize int64

	// Region makes the pool manage the caller's bytes instead of memory from
	// the operating system. The pool owns them until Close.
	Region []byte

	// File makes the pool live in a file mapped into memory, so that Open can
	// read it after the process is gone. The file must not exist.
	File string

	// LeakCheck records in each node's control header the call stack of its
	// allocation, or of its free, and the tick at which that happened
	// (LOSCFG_MEM_LEAKCHECK).
	LeakCheck bool
	// OmitLR is the number of innermost stack levels that LeakCheck leaves
	// out, 0 to 32 (LOS_OMIT_LR_CNT); 0 is DefaultOmitLR, None is none.
	// Level 0 is the return address inside the pool's own recording function,
	// level 1 the one inside the public function that was called (Alloc,
	// Free, ...), level 2 the one inside that function's caller. So with the
	// default LR[0] is the call of Alloc. A program that wraps the pool in
	// functions of its own adds one for each; a level is a physical stack
	// frame, so a wrapper that the compiler inlines has none. Such wrappers
	// still show when the stack is symbolized.
	OmitLR int
	// RecordLR is the number of levels that LeakCheck records, 0 to 32
	// (LOS_RECORD_LR_CNT); 0 is DefaultRecordLR, None is none.
	RecordLR int

	// HeadBackup keeps a backup of each node's control header in the header of
	// the previous node, and compares the two whenever the node is touched
	// (LOSCFG_MEM_HEAD_BACKUP).
	HeadBackup bool

	// IntegrityCheck walks and checks the whole pool before every allocation
	// (LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK). Its cost grows with the pool.
	IntegrityCheck bool

	// SizeCheck is the level at which NodeSize, CopyChecked and SetChecked look
	// up nodes (LOSCFG_BASE_MEM_NODE_SIZE_CHECK). It costs nothing elsewhere.
	SizeCheck CheckLevel

	// OnFinding receives every finding of Alloc, Free and their kin. It is
	// called without the pool's lock held, on the goroutine whose operation
	// noticed, possibly from several goroutines at a time; it may use the
	// pool. nil logs to slog's default logger, with symbolized frames.
	OnFinding func(heap.Finding)
	// Policy says whether findings also panic.
	Policy Policy
}

// levels resolves the convention of OmitLR and RecordLR.
func levels(field string, v, def int) (int, error) {
	switch {
	case v == 0:
		return def, nil
	case v == None:
		return 0, nil
	case v < 0 || v > node.MaxLRs:
		return 0, fmt.Errorf("heapwright: Config.%s is %d, want 0 to %d or None", field, v, node.MaxLRs)
	}
	return v, nil
}

// resolve checks the configuration and fills in its defaults.
func (c *Config) resolve() (err error) {
	if c.OmitLR, err = levels("OmitLR", c.OmitLR, DefaultOmitLR); err != nil {
		return err
	}
	if c.RecordLR, err = levels("RecordLR", c.RecordLR, DefaultRecordLR); err != nil {
		return err
	}
	if !c.LeakCheck {
		c.RecordLR = 0
	}
	switch {
	case c.Region != nil && c.File != "":
		return fmt.Errorf("heapwright: Config.Region and Config.File exclude each other")
	case c.Region != nil && c.MaxSize != 0:
		return fmt.Errorf("heapwright: Config.MaxSize must be 0 with Config.Region, whose length it is")
	case c.MaxSize < 0 || c.MaxSize > maxPool:
		return fmt.Errorf("heapwright: Config.MaxSize is %d, want 0 to %d", c.MaxSize, int64(maxPool))
	case int64(len(c.Region)) > maxPool:
		return fmt.Errorf("heapwright: Config.Region has %d bytes, at most %d can be managed", len(c.Region), int64(maxPool))
	case c.SizeCheck > CheckHigh:
		return fmt.Errorf("heapwright: Config.SizeCheck is %d, want CheckOff, CheckLow or CheckHigh", c.SizeCheck)
	case c.Policy > Panic:
		return fmt.Errorf("heapwright: Config.Policy is %d, want Report or Panic", c.Policy)
	}
	if c.MaxSize == 0 {
		c.MaxSize = DefaultMaxSize
	}
	return nil
}

// layout returns the node layout that the configuration asks for.
func (c *Config) layout(secret uint64) node.Layout {
	return node.NewLayout(c.LeakCheck, c.RecordLR, c.HeadBackup, secret)
}

// logFinding is what happens to findings without Config.OnFinding.
func (p *Pool) logFinding(f heap.Finding) {
	attrs := []slog.Attr{slog.String("kind", string(f.Kind))}
	add := func(key string, n *heap.Node) {
		if n != nil {
			attrs = append(attrs, slog.String(key, describe(n)))
		}
	}
	if f.Reach != "" {
		attrs = append(attrs, slog.String("reach", f.Reach))
	}
	for _, d := range f.Fields {
		if d.Differs {
			attrs = append(attrs, slog.String("field "+d.Name, "header "+d.Header+" backup "+d.Backup))
		}
	}
	add("node", f.Subject)
	add("previous", f.Previous)
	add("culprit", f.Culprit)
	stack := func(key string, s heap.Stack, foreign bool) {
		all := frames(s)
		if foreign { // another build's addresses would resolve to wrong names
			all = nil
			for _, a := range s {
				all = append(all, heap.Frame{Addr: a})
			}
		}
		var lines []any
		for _, fr := range all {
			lines = append(lines, slog.String(strconv.Itoa(len(lines)), fr.String()))
		}
		if lines != nil {
			attrs = append(attrs, slog.Group(key, lines...))
		}
	}
	stack("stack", f.Stack, false)
	stack("first_free", f.FirstFree, p.foreign)
	if f.Culprit != nil {
		stack("culprit_stack", f.Culprit.Stack, p.foreign)
	}
	slog.LogAttrs(context.Background(), slog.LevelError, "heapwright: "+f.Summary(), attrs...)
}

// describe is a node in a log line.
func describe(n *heap.Node) string {
	s := n.Addr.String() + " " + n.State.String()
	if n.Size != 0 {
		s += " " + strconv.FormatUint(n.Size, 10) + " bytes"
	}
	if n.Owner != 0 {
		s += " owner " + strconv.FormatUint(uint64(n.Owner), 10)
	}
	return s
}
