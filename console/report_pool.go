package console

import (
	"bytes"
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// maxFreeLists bounds the damaged free lists of a pool head that are named;
// LiteOS has 26.
const maxFreeLists = 32

// A poolReport reads complaints that are not about one control header:
//
//	[ERR]DlinkHead[3]: pstPrev:0x41414141, pstNext:0x41414141      <- integrity check
//	mem pool info: poolAddr:0x578c0, poolSize:0xfa8740
//	[ERR]wrong mem pool addr: 0x578c1, func:OsMemPoolHeadInfoPrint,line:1080
//	[OsMemFindSuitableFreeBlock:876]Mem node data error:OS_MEM_HEAD_ADDR(pool)=0x57adc,
//	    listNodeHead:0x57b14,allocSize=72, tmpNode=0x41414141      <- and a panic
//	[ERR]input ptr 0x10 is out of system memory range[0x57bac, 0xffffb8]
//	[ERR]input ptr 0xb5d90 is belong to a free mem node
type poolReport struct {
	r     *liteosReports
	first int
	say   uint64 // what it is about
	f     *heap.Finding
	info  string
	more  int // free lists beyond maxFreeLists
	trace reportTrace
	cut   bool
}

func (p *poolReport) line(l *reportLine) bool {
	const about = sayFreeList | sayPoolAddr | sayListNode | sayOutside | sayInFree
	switch say := l.say & about; {
	case p.f == nil:
		p.say = say
		p.begin(l)
	case say == sayFreeList && p.say == sayFreeList:
		p.freeList(l)
	case say != 0:
		return false
	case l.says(sayPoolInfo) && p.say == sayFreeList:
		if p.info == "" {
			p.info = l.name("mem pool info: ", "")
		}
	default:
		return p.say == sayListNode && p.trace.line(l)
	}
	return true
}

func (p *poolReport) begin(l *reportLine) {
	kind := heap.PoolHeadDamaged
	switch p.say {
	case sayListNode:
		kind = heap.FreeIndexWrong
	case sayOutside:
		kind = heap.OutsidePool
	case sayInFree:
		kind = heap.InsideFree
	}
	p.f = p.r.finding(kind, p.first)
	ok := true
	switch p.say {
	case sayFreeList:
		p.f.Op = "check"
		p.freeList(l)
	case sayPoolAddr:
		p.f.Op = "check"
		var addr heap.Addr
		addr, ok = l.hex("wrong mem pool addr: ")
		p.f.Detail = fmt.Sprintf("there is no pool at %s, which was passed as the address of one", addr)
	case sayListNode:
		p.f.Op = "alloc"
		var node heap.Addr
		node, ok = l.hex("tmpNode=")
		p.f.Detail = fmt.Sprintf("a list of free nodes goes on at %s, where no node can be", node)
	case sayOutside, sayInFree:
		p.f.Op = "owner look-up"
		p.f.Pointer, ok = l.hex("input ptr ")
	}
	p.cut = !ok
}

// freeList adds a list head to the finding.
func (p *poolReport) freeList(l *reportLine) {
	if len(p.f.Fields) == maxFreeLists {
		p.more++
		return
	}
	prev, rest, ok := hexAfter(l.text, "pstPrev:")
	next, _, ok2 := hexAfter(rest, "pstNext:")
	if !ok || !ok2 {
		p.cut = true
	}
	_, number, _ := bytes.Cut(l.text, []byte("DlinkHead["))
	digits, _, _ := bytes.Cut(number[:min(len(number), 5)], []byte("]"))
	p.f.Fields = append(p.f.Fields, heap.Field{
		Name:   "free list " + plain.Clean(string(digits)),
		Header: fmt.Sprintf("%s, %s", prev, next),
	})
}

func (p *poolReport) complete() bool { return p.say != sayListNode || len(p.trace.lrs) > 0 }

func (p *poolReport) finish(cut string) {
	f := p.f
	if p.say == sayFreeList {
		f.Detail = plain.Plural(len(f.Fields)+p.more, "list head") + " of free nodes in the pool's head cannot be right"
		if p.info != "" {
			f.Detail += " (" + p.info + ")"
		}
	}
	f.Partial = sentences(cutText(cut), left(p.more, "list head"))
	if p.cut {
		f.Partial = sentences(f.Partial, "a line is cut")
	}
	p.trace.put(f)
	p.r.emit(f)
}
