package layout

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/callers"
	"github.com/heapwright/heapwright/internal/node"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/internal/survey"
)

// heapwrightPool is a pool of package heapwright in memory: in the file that it
// was kept in, or anywhere in a core or dump. How it lies there is defined by
// package node, and the walk over it is that of the pool itself, package survey.
//
//	heapwright.go        the pool, and what is known about it
//	heapwright_find.go   pools anywhere in memory
//	heapwright_head.go   what can be told of a pool whose head is damaged
//	heapwright_walk.go   from node to node
//	heapwright_judge.go  what damaged bytes mean, and what a repair would write
//	heapwright_fields.go the parts of a node's head
//
// A pool that lies in several pieces of memory is copied into one; otherwise
// nothing is copied. A pool written by a machine of the other byte order is
// recognized and not read.
type heapwrightPool struct {
	about  About
	memory []byte // from the pool head on, as much of the pool as is there
	region survey.Region
	lay    node.Layout
	info   node.HeadInfo
	mask   uint64 // of an address of the process
	endAt  bool   // the end node is known to be where region.End says

	broken   *node.Head // the pool head, if it is damaged
	restored []byte     // the same as it was, if that is certain
}

// About implements Pool.
func (p *heapwrightPool) About() *About { return &p.about }

// anchorSymbol is the function that return addresses are relative to; they are
// counted from its second byte.
const anchorSymbol = "github.com/heapwright/heapwright/internal/callers.anchor"

// unaligned says that this machine reads words at any address.
const unaligned = runtime.GOARCH == "amd64" || runtime.GOARCH == "386" || runtime.GOARCH == "arm64" || runtime.GOARCH == "ppc64le" || runtime.GOARCH == "s390x"

// aligned returns b, or a copy of it, so that words in it can be read.
func aligned(b []byte) []byte {
	if unaligned || uintptr(unsafe.Pointer(unsafe.SliceData(b)))%8 == 0 {
		return b
	}
	c := room(len(b))
	copy(c, b)
	return c
}

// room returns n bytes that begin at a multiple of 8.
func room(n int) []byte {
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n)
}

// newHeapwright returns the pool whose memory begins at addr. Nothing has been
// looked at yet.
func newHeapwright(addr heap.Addr, memory []byte, info node.HeadInfo, lay node.Layout, end uint32) *heapwrightPool {
	p := &heapwrightPool{memory: memory, info: info, lay: lay}
	whole := uint64(end) + uint64(lay.HeadU)
	p.region = survey.Region{
		Base:   unsafe.Pointer(unsafe.SliceData(memory)),
		Limit:  uint32(min(uint64(len(memory))/node.Unit, whole)),
		End:    end,
		Origin: uint64(addr),
		Layout: &p.lay,
		LR:     p.lr,
	}
	p.about = About{
		System:      "heapwright",
		Layout:      shapeName(lay),
		Name:        plain.Clean(info.PoolName),
		Span:        heap.Span{Start: addr, End: addr + heap.Addr(whole*node.Unit)},
		PointerSize: 4,
		Base:        heap.Addr(info.Base),
	}
	return p
}

// lr is the return address that an LR of a header stands for; 0 for one that
// only the process knew.
func (p *heapwrightPool) lr(slot uint32) heap.Addr {
	return heap.Addr(callers.Rebase(slot, p.info.Anchor) & p.mask)
}

// shapeName says how nodes are laid out: "heapwright pool, leak check with 3
// LRs, header backup".
func shapeName(l node.Layout) string {
	s := "heapwright pool"
	if l.Stacks {
		s += ", leak check with " + plain.Plural(l.LRs, "LR")
	}
	if l.Slot != 0 {
		s += ", header backup"
	}
	return s
}

// describe fills in what the head says, as far as that can be believed, and what
// a walk over the pool gives.
func (p *heapwrightPool) describe(h *Hints) {
	a, i := &p.about, &p.info
	switch {
	case i.Base>>32 != 0 || i.Anchor>>32 != 0:
		a.PointerSize = 8
	case h.PointerSize != 0:
		a.PointerSize = h.PointerSize
	default:
		a.Doubts = append(a.Doubts, "that the process had pointers of 4 bytes is concluded from its addresses")
	}
	p.mask = ^uint64(0)
	if a.PointerSize == 4 {
		p.mask = 1<<32 - 1
	}
	say := func(format string, args ...any) { a.Evidence = append(a.Evidence, fmt.Sprintf(format, args...)) }
	switch {
	case p.broken == nil:
		say("the pool head has its magic and a right checksum")
	case p.region.Blind:
		say("the pool head is damaged, and with it the key of all checksums; but nodes that name each other's lengths follow it")
		a.Doubts = append(a.Doubts, "no checksum could be verified: what nodes say is believed if the next one agrees")
	default:
		say("the pool head is damaged, but the key in it fits the checksums of the first nodes")
	}
	believed := p.broken == nil || p.restored != nil
	switch {
	case i.Base == uint64(a.Span.Start):
		say("it lies at the address that the process had it at")
	case believed:
		say("the process had it at %s", heap.Addr(i.Base))
	}
	if believed {
		say("created %s by process %d", time.Unix(0, i.Created).UTC().Format("2006-01-02 15:04:05 UTC"), i.PID)
	}
	if p.lay.Stacks {
		a.TickHz = uint64(i.TickHz)
		a.Symbol, a.SymbolAddr = anchorSymbol, heap.Addr(i.Anchor)-1
	}
	if !p.endAt {
		a.Doubts = append(a.Doubts, "where the pool ends is not known: its end node is not in the memory")
	}
	var last uint32
	born := func(c unsafe.Pointer) {
		if c != nil && p.lay.Stacks {
			last = max(last, *node.Birth(c))
		}
	}
	p.region.Glide(func(_ uint32, _ node.Header, c unsafe.Pointer) bool {
		a.Seen++
		a.Sound++
		born(c)
		return true
	}, func(s, _, _ *survey.Seen) bool {
		a.Seen++
		if s.Sound() {
			a.Sound++
		}
		born(p.region.Evidence(s))
		return true
	})
	a.Tick = uint64(last)
	if a.Tick > 0 {
		say("the last allocation or free of a node that is still there was %s after the creation", plain.Duration(ticks(a.Tick-1, a.TickHz)))
	}
}

// ticks is how long so many ticks take.
func ticks(n, hz uint64) time.Duration {
	if hz == 0 {
		return 0
	}
	return time.Duration(float64(n) / float64(hz) * float64(time.Second))
}
